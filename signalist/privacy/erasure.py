"""Ends somebody's account: after a grace period, and so that what the law wants kept stays, without their name.

Kept for the tax years, by number and never by name: accounts, orders, fills, positions, trades, decisions, and the audit log's chain,
whose entries name a pseudonym that nobody can resolve once its key row is gone. Deleted: the log-in with all its means, the name and
everything that a person told about themselves, log-ins with where they came from, memberships, invitations, what staff wrote about them,
keys for programs, secrets of venues, files.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import product
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Q, QuerySet

from signalist.accounts.models import Account, AccountState
from signalist.api.models import ApiKey
from signalist.audit.words import forget as forget_words
from signalist.audit.writing import erase as erase_subject
from signalist.audit.writing import record
from signalist.domain.errors import DomainError
from signalist.downloads.models import Download
from signalist.markets.stream_models import StreamSession
from signalist.privacy.models import GRACE, Deletion
from signalist.risk.actions import Where, switch
from signalist.risk.connections import revoke
from signalist.risk.models import TenantSwitch, TenantSwitchChange
from signalist.security import incidents
from signalist.trading.models import Position
from tenants.belonging import Invitation, StaffSession, Suspension
from tenants.doors import across_tenants, acting_for
from tenants.grants import end_all
from tenants.models import Credential, Membership, Role, Tenant, User
from tenants.security.forgetting import forget_sessions
from tenants.selectors import memberships_of

FORMER = "a former member"
# Children before parents; the engine's role may delete these rows and see nothing of them but whose they are.
_LOG_IN = (
    "DELETE FROM account_emailconfirmation WHERE email_address_id IN (SELECT id FROM account_emailaddress WHERE user_id = %s)",
    "DELETE FROM account_emailaddress WHERE user_id = %s",
    "DELETE FROM socialaccount_socialtoken WHERE account_id IN (SELECT id FROM socialaccount_socialaccount WHERE user_id = %s)",
    "DELETE FROM socialaccount_socialaccount WHERE user_id = %s",
    "DELETE FROM mfa_authenticator WHERE user_id = %s",
)


class NotNow(DomainError):
    """Something has to be settled first; the message says what."""


def ask(user: User, now: datetime) -> Deletion:
    """Begin the grace period; a second time it is the same wish. Raises NotNow for what only its owner can settle."""
    if obstacle := _obstacle(user.pk):
        raise NotNow(obstacle)
    # Without a target: the row of who is deleted stays, and would say whose the pseudonym was.
    record("privacy.deletion_asked", tenant_id=None, user_id=user.pk)
    try:
        with transaction.atomic():
            return Deletion.objects.create(user=user, asked_at=now, due_at=now + GRACE)
    except IntegrityError:
        return Deletion.objects.get(user=user, cancelled_at__isnull=True)


def take_back(user: User, now: datetime) -> bool:
    """End the grace period without a deletion; whether there was one."""
    open_ones = Deletion.objects.filter(user=user, cancelled_at__isnull=True, done_at__isnull=True)
    if not open_ones.update(cancelled_at=now):
        return False
    record("privacy.deletion_taken_back", tenant_id=None, user_id=user.pk)
    return True


def pending(user_id: int) -> Deletion | None:
    """The wish that stands."""
    return Deletion.objects.filter(user_id=user_id, cancelled_at__isnull=True, done_at__isnull=True).first()


def erase_due(now: datetime) -> tuple[int, int]:
    """Delete everybody whose grace period is over; how many, and how many wait because something is in the way. May be repeated."""
    done = held_up = 0
    for wish in Deletion.objects.filter(due_at__lte=now, cancelled_at__isnull=True, done_at__isnull=True).order_by(
        "pk"
    ):
        if obstacle := _obstacle(wish.user_id):
            Deletion.objects.filter(pk=wish.pk).update(held_up=obstacle[:200])
            held_up += 1
            continue
        _erase(wish, now)
        done += 1
    return done, held_up


def _obstacle(user_id: int) -> str:
    """What keeps somebody from being deleted: others who would be left without an administrator or owner, or positions without anybody."""
    for membership in memberships_of(user_id):
        with acting_for(membership.tenant_id):
            others = Membership.objects.filter(tenant_id=membership.tenant_id, is_active=True).exclude(user_id=user_id)
            counted = others.aggregate(all=Count("id"), admins=Count("id", filter=Q(role=Role.ADMIN)))
            is_open = Position.objects.filter(tenant_id=membership.tenant_id, is_open=True).exists()
        name = membership.tenant.name
        if counted["all"] and not counted["admins"]:
            return f"{name} would be left without an administrator: hand it over to another member first."
        if counted["all"] and membership.is_owner:
            return f"{name} would be left without an owner: hand it over to another administrator first."
        if not counted["all"] and is_open:
            return f"{name} has open positions, which nobody would look after: close them first."
    return ""


def _erase(wish: Deletion, now: datetime) -> None:
    """Each step may be repeated; the last one is that the wish is done."""
    user = User.objects.get(pk=wish.user_id)
    names = {name for name in (user.full_name, user.email) if name}
    for tenant_id, is_last in _workspaces(user.pk):
        with acting_for(tenant_id):
            if is_last:
                _close_workspace(tenant_id, now)
            _forget_in(tenant_id, user, names)
    _forget_invitations(user)
    _forget_staffs_words(user, names)
    _forget_log_in(user)
    incidents.forget(user.pk)
    with across_tenants("deletion"):
        forget_words(names, FORMER)
        record("privacy.deleted", tenant_id=None, user_id=None, target=str(user.public_id))
        erase_subject(user.pk)
    Deletion.objects.filter(pk=wish.pk).update(done_at=now, held_up="")


def _workspaces(user_id: int) -> list[tuple[int, bool]]:
    """Every workspace that the person ever was in, and whether nobody else is in it."""
    with across_tenants("deletion"):
        own = sorted(Membership.objects.filter(user_id=user_id).values_list("tenant_id", flat=True))
        shared = set(
            Membership.objects.filter(tenant_id__in=own, is_active=True)
            .exclude(user_id=user_id)
            .values_list("tenant_id", flat=True)
        )
    return [(tenant_id, tenant_id not in shared) for tenant_id in own]


def _close_workspace(tenant_id: int, now: datetime) -> None:
    """Nothing is traded here any more, its secrets are gone, and nothing in it is called after its owner."""
    tenant = Tenant.objects.get(pk=tenant_id)
    switch(
        Where.of_tenant(tenant), AccountState.HALTED, "its owner was deleted", now, who="Signalist", only_stricter=True
    )
    for credential in Credential.objects.filter(revoked_at__isnull=True).order_by("pk"):
        revoke(credential, "its owner was deleted", None, who="Signalist")
    for credential in Credential.objects.order_by("pk"):
        Credential.objects.filter(pk=credential.pk).update(label=f"key {credential.pk}", egress="")
    for account in Account.objects.order_by("pk"):
        Account.objects.filter(pk=account.pk).update(name=f"Account {account.pk}")
    Tenant.objects.filter(pk=tenant_id).update(name=f"Closed workspace {tenant_id}")


def _forget_in(tenant_id: int, user: User, names: set[str]) -> None:
    """In one workspace: keys, files, membership, and the name where it was written beside what was done."""
    ApiKey.objects.filter(user=user).delete()
    StreamSession.objects.filter(user=user).delete()
    Download.objects.filter(tenant_id=tenant_id, user_id=user.pk).delete()
    for name in names:
        TenantSwitch.objects.filter(who=name).update(who=FORMER)
        TenantSwitchChange.objects.filter(who=name).update(who=FORMER)
        for account in Account.objects.filter(state_reason__contains=name).order_by("pk"):
            said = account.state_reason.replace(name, FORMER)[:200]
            Account.objects.filter(pk=account.pk).update(state_reason=said)
    for membership in Membership.objects.filter(user=user):
        end_all(membership)
        membership.delete()


def _forget_invitations(user: User) -> None:
    """In all workspaces: those to the person, taken or not; of those by the person who it was, whom the log names by pseudonym."""
    with across_tenants("deletion"):
        Invitation.objects.filter(Q(accepted_by=user) | Q(email__iexact=user.email)).delete()
        Invitation.objects.filter(invited_by=user).update(invited_by=None)


def _forget_staffs_words(user: User, names: set[str]) -> None:
    """What staff wrote about the person, and the name wherever else staff has said why."""
    Suspension.objects.filter(user=user).update(reason="")
    StaffSession.objects.filter(user=user).update(reason="")
    wherever: tuple[QuerySet[Any], ...] = (Suspension.objects.all(), StaffSession.objects.all())
    for rows, name in product(wherever, sorted(names, key=len, reverse=True)):
        whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
        for pk, reason in list(rows.filter(reason__icontains=name).order_by("pk").values_list("pk", "reason")):
            rows.filter(pk=pk).update(reason=whole.sub(FORMER, reason)[:200])


def _forget_log_in(user: User) -> None:
    """The person becomes a number."""
    with transaction.atomic():
        forget_sessions(user.pk)
        with connection.cursor() as cursor:
            for statement in _LOG_IN:
                cursor.execute(statement, [user.pk])
        user.email, user.username, user.full_name, user.phone = f"{user.public_id}@deleted.invalid", None, "", ""
        user.time_zone, user.preferences, user.last_login = "UTC", {}, None
        user.is_active = user.is_staff = user.is_superuser = user.trading_enabled = False
        user.set_unusable_password()
        user.save()
