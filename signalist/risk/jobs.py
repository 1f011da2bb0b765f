"""What the worker is asked to do at the kill switch."""

from __future__ import annotations

from signalist.risk.connections import revoke_all


def revoke_keys(tenant_id: int, who: str) -> str:
    """Revoke every key of a workspace; what was done, in words."""
    return f"{revoke_all('revoked by the operator of the platform', tenant_id=tenant_id, who=who)} keys revoked"
