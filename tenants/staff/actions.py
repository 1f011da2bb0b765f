"""What staff does to people: suspends and reactivates them, looks at a workspace as they see it; and who is staff at all."""

from __future__ import annotations

from django.db import transaction

from signalist.audit.writing import record
from signalist.clock import utc_now
from tenants.belonging import Suspension
from tenants.models import Membership, User
from tenants.security.endings import end_sessions
from tenants.workspaces.mails import send

_FLAGS = {"is_staff": "user.staff_set", "trading_enabled": "user.trading_set"}


class NotDone(Exception):
    """Staff is refused something; the words are for them."""


def suspend(by: User, user: User, reason: str) -> None:
    """Shut somebody out: their log-ins end and none begins. What is open stays protected by the engine. Raises NotDone."""
    if not reason.strip():
        raise NotDone("Say why: the person is told.")
    if user.pk == by.pk or (user.is_staff and not by.is_superuser):
        raise NotDone("Staff is suspended by a superuser, and nobody suspends themselves.")
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            raise NotDone("They are suspended already.")
        Suspension.objects.create(user=user, reason=reason[:200], by=by)
        send(user.email, "your account is suspended", "suspended", reason=reason)
    end_sessions(user.pk, why="suspended", by=by.pk)
    record("user.suspended", tenant_id=None, user_id=by.pk, target=str(user.public_id), words=reason[:200])


def reactivate(by: User, user: User) -> None:
    """Let somebody in again. Raises NotDone."""
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
            raise NotDone("They are not suspended.")
        Suspension.objects.filter(user=user, lifted_at=None).update(lifted_at=utc_now(), lifted_by=by)
        send(user.email, "your account is open again", "reactivated")
    record("user.reactivated", tenant_id=None, user_id=by.pk, target=str(user.public_id))


def set_flag(by: User, user: User, flag: str, *, to: bool) -> bool:
    """Let a superuser say who is staff (`is_staff`) and who trades with real money (`trading_enabled`); whether that changed anything.

    Staff's powers end with being staff. Raises NotDone.
    """
    if flag not in _FLAGS:
        raise ValueError(f"{flag} is nothing that is set here.")
    if not (by.is_active and by.is_superuser) or user.pk == by.pk:
        raise NotDone("That is for superusers, and nobody does it to themselves.")
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, **{flag: not to}).update(**{flag: to}):
            return False
        action, target = _FLAGS[flag], str(user.public_id)
        record(action, tenant_id=None, user_id=by.pk, target=target, details={"to": to})
    return True


def view_as(by: User, membership: Membership, reason: str) -> dict[str, object]:
    """What the session keeps while `by` looks at a workspace as its member sees it. The workspace's own log says so."""
    record(
        "staff.view_began",
        tenant_id=membership.tenant_id,
        user_id=by.pk,
        target=str(membership.user.public_id),
        words=reason,
    )
    return {"user": membership.user_id, "tenant": str(membership.tenant.public_id), "name": membership.user.email}
