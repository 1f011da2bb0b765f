"""Hears of members whose role changes or who leave: their keys end with the right to have some."""

from __future__ import annotations

from signalist.api.actions import revoke_all_of
from tenants.models import Membership, User
from tenants.permissions import permits
from tenants.workspaces.roles import member_changed


def listen() -> None:
    """Connect; called once, when the app comes up."""
    member_changed.connect(_changed, dispatch_uid="signalist.api.member_changed")


def _changed(sender: object, membership: Membership, by: User, **kwargs: object) -> None:
    if not permits(membership, "keys.manage"):
        revoke_all_of(membership.tenant_id, membership.user_id, by)
