"""Hears that the true owner of an account has come: keys that somebody made before open nothing any more."""

from __future__ import annotations

from typing import Any

from signalist.api.actions import revoke
from signalist.api.models import ApiKey
from tenants.models import User
from tenants.security.taking_over import owner_came


def listen() -> None:
    """Connect the receiver."""
    owner_came.connect(revoke_all, dispatch_uid="signalist.api.owner_came")


def revoke_all(sender: object, user: User, tenant_id: int, **kwargs: Any) -> None:
    """Receiver, behind the door of the workspace: end all keys of `user` there."""
    for key in ApiKey.objects.filter(user=user, revoked_at__isnull=True).order_by("pk"):
        revoke(key, user)
