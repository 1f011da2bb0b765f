"""Who did what: an append-only log, hash-chained per tenant, which knows people by pseudonyms."""
