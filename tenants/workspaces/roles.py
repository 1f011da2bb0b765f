"""Changes of role, removal, leaving and ownership. Who becomes an administrator is approved by another one where there is one (ACC-23)."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal

from signalist.audit.writing import record
from signalist.clock import utc_now
from tenants.belonging import RoleChange
from tenants.doors import acting_for
from tenants.grants import end_all
from tenants.models import Membership, Role, Tenant
from tenants.workspaces.mails import send

member_changed = Signal()
"""Sent in the transaction that changes a member's role, or ends the membership: `membership` as it stands now, `by` the user who did it."""


class NotChanged(Exception):
    """A change of members is refused; the words are for the person."""


def change_role(by: Membership, member: Membership, role: str) -> RoleChange:
    """Give a member another role: at once, or, where somebody becomes ADMIN and another administrator is there, once that one approves.

    Raises NotChanged.
    """
    if role not in Role.values:
        raise NotChanged("There is no such role.")
    with acting_for(by.tenant_id), transaction.atomic():
        row = _locked(member)
        if row.is_owner:
            raise NotChanged("The owner is an administrator until the workspace is handed over.")
        if row.role == role:
            raise NotChanged("They have that role already.")
        waits = role == Role.ADMIN and _administrators().exclude(user_id__in=[by.user_id, row.user_id]).exists()
        RoleChange.objects.filter(membership=row, state=RoleChange.State.PENDING).update(
            state=RoleChange.State.REFUSED, decided_by=by.user, decided_at=utc_now()
        )
        change: RoleChange = RoleChange.objects.create(
            tenant_id=row.tenant_id, membership=row, before=row.role, after=role, asked_by=by.user
        )
        _recorded(by, "member.role_asked", row, before=change.before, after=role)
        if not waits:
            _in_force(change, by)
    return change


def decide(by: Membership, change: RoleChange, *, approve: bool) -> None:
    """Approve or refuse a pending change. Raises NotChanged for who asked for it or is the one concerned."""
    with acting_for(by.tenant_id), transaction.atomic():
        member = _locked(change.membership)
        row = RoleChange.objects.select_related("membership__user", "membership__tenant").get(pk=change.pk)
        if row.state != RoleChange.State.PENDING:
            raise NotChanged("That was decided already.")
        if by.user_id in (row.asked_by_id, member.user_id):
            raise NotChanged("Another administrator decides this: not who asked for it, nor the one concerned.")
        if approve:
            _in_force(row, by)
        else:
            row.state, row.decided_by, row.decided_at = RoleChange.State.REFUSED, by.user, utc_now()
            row.save(update_fields=["state", "decided_by", "decided_at"])
            _recorded(by, "member.role_refused", member, before=row.before, after=row.after)


def remove(by: Membership, member: Membership) -> None:
    """Take a member out, or leave. Their orders and positions are the workspace's and stay. Raises NotChanged for the owner."""
    with acting_for(by.tenant_id), transaction.atomic():
        row = _locked(member)
        if row.is_owner:
            raise NotChanged("The owner hands the workspace over before leaving it.")
        row.is_active = False
        row.save(update_fields=["is_active"])
        ended = end_all(row)
        member_changed.send(sender=Membership, membership=row, by=by.user)
        RoleChange.objects.filter(membership=row, state=RoleChange.State.PENDING).update(
            state=RoleChange.State.REFUSED, decided_by=by.user, decided_at=utc_now()
        )
        left = by.user_id == row.user_id
        _recorded(by, "member.left" if left else "member.removed", row, role=row.role, grants_ended=ended)
        if not left:
            send(row.user.email, f"you are no longer in {row.tenant.name}", "removed", member=row)


def transfer(by: Membership, member: Membership) -> None:
    """Hand the workspace over to another administrator; the old owner stays one. Raises NotChanged."""
    with acting_for(by.tenant_id), transaction.atomic():
        row, owner = _locked(member), Membership.objects.get(pk=by.pk)
        if not owner.is_owner:
            raise NotChanged("Only the owner hands the workspace over.")
        if row.role != Role.ADMIN or not row.is_active or row.pk == owner.pk:
            raise NotChanged("It can be handed over to another administrator only; change their role first.")
        Membership.objects.filter(pk=owner.pk).update(is_owner=False)
        Membership.objects.filter(pk=row.pk).update(is_owner=True)
        _recorded(by, "workspace.transferred", row)
        send(row.user.email, f"{row.tenant.name} is yours now", "transferred", member=row, by=owner.user)


def _in_force(change: RoleChange, by: Membership) -> None:
    Membership.objects.filter(pk=change.membership_id).update(role=change.after)
    change.state, change.decided_by, change.decided_at = RoleChange.State.APPROVED, by.user, utc_now()
    change.save(update_fields=["state", "decided_by", "decided_at"])
    member = change.membership
    member.role = change.after
    member_changed.send(sender=Membership, membership=member, by=by.user)
    _recorded(by, "member.role_changed", member, before=change.before, after=change.after)
    send(member.user.email, f"your role in {member.tenant.name}", "role", member=member, role=Role(change.after).label)


def _locked(member: Membership) -> Membership:
    """The membership as it stands, with the workspace's row locked: what is decided about one member depends on the others."""
    Tenant.objects.select_for_update().get(pk=member.tenant_id)
    return Membership.objects.select_related("user", "tenant").get(pk=member.pk)


def _administrators() -> Any:
    return Membership.objects.filter(role=Role.ADMIN, is_active=True)


def _recorded(by: Membership, action: str, member: Membership, **details: object) -> None:
    # The log knows people by a pseudonym, which an entry about oneself would resolve once one is deleted.
    target = "" if by.user_id == member.user_id else str(member.user.public_id)
    record(action, tenant_id=by.tenant_id, user_id=by.user_id, target=target, details=details)
