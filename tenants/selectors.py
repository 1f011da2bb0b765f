"""Reads of who belongs where."""

from __future__ import annotations

from tenants.doors import own_memberships
from tenants.models import Membership


def memberships_of(user_id: int) -> list[Membership]:
    """The user's active memberships, with their workspaces, oldest first."""
    with own_memberships(user_id):
        return list(Membership.objects.filter(is_active=True).select_related("tenant").order_by("pk"))


def membership_in(user_id: int, tenant_public_id: str | None) -> Membership | None:
    """The user's membership in the workspace that the session names, or in their first one; None without any."""
    return chosen(memberships_of(user_id), tenant_public_id)


def chosen(found: list[Membership], tenant_public_id: str | None) -> Membership | None:
    """Of these memberships the one in the workspace that the session names, or the first; None without any."""
    named = (m for m in found if str(m.tenant.public_id) == tenant_public_id)
    return next(named, found[0] if found else None)
