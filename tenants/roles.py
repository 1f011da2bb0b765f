"""The names of the group roles on PostgreSQL; see `tenants.rls` for what each may do."""

from __future__ import annotations

WEB = "signalist_web"
ENGINE = "signalist_engine"
TAIL = "signalist_tail"

# What the engine's role says aloud to the database when it goes across tenants for it: sealed secrets are closed to it otherwise.
KEY_ROTATION = "key rotation"
REVOCATION = "mass revocation"
KEYHOLDING = (KEY_ROTATION, REVOCATION)
