"""Reads of who is in a workspace, who is invited, and which changes of role wait."""

from __future__ import annotations

from dataclasses import dataclass

from signalist.clock import utc_now
from tenants.belonging import Invitation, RoleChange
from tenants.models import Membership, Role


@dataclass(frozen=True, slots=True)
class People:
    """Everybody in or on the way into a workspace."""

    members: tuple[Membership, ...]
    invitations: tuple[Invitation, ...]
    waiting: tuple[RoleChange, ...]


def people() -> People:
    """Of the workspace behind the door, in three queries: the owner first, then by role and age."""
    order = {role: n for n, role in enumerate(Role.values)}
    members = Membership.objects.filter(is_active=True).select_related("user").order_by("pk")
    invited = Invitation.objects.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=utc_now())
    waiting = RoleChange.objects.filter(state=RoleChange.State.PENDING)
    return People(
        tuple(sorted(members, key=lambda m: (not m.is_owner, order[m.role]))),
        tuple(invited.select_related("invited_by").order_by("-pk")),
        tuple(waiting.select_related("membership__user", "asked_by").order_by("pk")),
    )
