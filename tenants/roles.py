"""The names of the group roles on PostgreSQL; see `tenants.rls` for what each may do."""

from __future__ import annotations

WEB = "signalist_web"
ENGINE = "signalist_engine"
TAIL = "signalist_tail"
