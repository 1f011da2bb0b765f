"""The way to venues over HTTP: warm connections, a ledger of what may be sent when, a breaker, and the venue's clock."""
