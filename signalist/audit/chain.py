"""What a link's hash is made of."""

from __future__ import annotations

import hashlib

from signalist.audit.models import Entry
from signalist.audit.sealing import canonical

BEGINNING = "0" * 64
_VERSION = 1


def hash_of(entry: Entry, number: int, previous: str) -> str:
    """SHA-256, in hex, over the canonical JSON of everything that `entry` says, its number in the chain and the hash before it."""
    said = [
        _VERSION,
        entry.tenant_id,
        number,
        previous,
        entry.pk,
        entry.at.isoformat(),
        entry.action,
        None if entry.subject is None else str(entry.subject),
        entry.target,
        entry.result,
        entry.details,
        entry.session,
        entry.correlation_id,
        entry.origin,
    ]
    return hashlib.sha256(canonical(said).encode()).hexdigest()
