"""Hears of members whose keys have to end: the true owner of the account has come, or the right to have keys is gone."""

from __future__ import annotations

from typing import Any

from signalist.api.actions import revoke, revoke_all_of
from signalist.api.models import ApiKey
from tenants.models import Membership, User
from tenants.permissions import permits
from tenants.security.taking_over import owner_came
from tenants.workspaces.roles import member_changed


def listen() -> None:
    """Connect the receivers; called once, when the app comes up."""
    owner_came.connect(revoke_all, dispatch_uid="signalist.api.owner_came")
    member_changed.connect(_changed, dispatch_uid="signalist.api.member_changed")


def revoke_all(sender: object, user: User, tenant_id: int, **kwargs: Any) -> None:
    """Receiver, behind the door of the workspace: end all keys of `user` there."""
    for key in ApiKey.objects.filter(user=user, revoked_at__isnull=True).order_by("pk"):
        revoke(key, user)


def _changed(sender: object, membership: Membership, by: User, **kwargs: object) -> None:
    if not permits(membership, "keys.manage"):
        revoke_all_of(membership.tenant_id, membership.user_id, by)
