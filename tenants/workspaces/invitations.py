"""Inviting people by e-mail, and coming in by the link. The token is in the mail alone; kept is its hash."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction

from signalist.audit.writing import record
from signalist.clock import utc_now
from tenants.belonging import Invitation
from tenants.doors import acting_for, holding_invitation
from tenants.models import Membership, Role, Tenant, User
from tenants.security.taking_over import CONFIRM_FIRST, is_confirmed
from tenants.workspaces.mails import send

LASTS = timedelta(days=7)
# An administrator is made by a change of role, which another one approves.
GUEST_ROLES = (Role.TRADER, Role.ANALYST, Role.READONLY)


class NotInvited(Exception):
    """An invitation is not given or not taken; the words are for the person."""


def invite(by: Membership, email: str, role: str, link: str) -> Invitation:
    """Invite `email` into the workspace of `by`; `link` is the address with `TOKEN` in it. Raises NotInvited.

    An open invitation of the same address is replaced: its link ends.
    """
    if role not in GUEST_ROLES:
        raise NotInvited("Invite as trader, analyst or reader; who has joined can be made an administrator.")
    if not is_confirmed(by.user):
        raise NotInvited(CONFIRM_FIRST)
    token, now = secrets.token_urlsafe(32), utc_now()
    with acting_for(by.tenant_id), transaction.atomic():
        tenant = Tenant.objects.select_for_update().get(pk=by.tenant_id)
        if Membership.objects.filter(user__email__iexact=email, is_active=True).exists():
            raise NotInvited(f"{email} is in this workspace already.")
        open_ones = Invitation.objects.filter(email__iexact=email, accepted_at=None, withdrawn_at=None)
        open_ones.update(withdrawn_at=now)
        made: Invitation = Invitation.objects.create(
            tenant=tenant,
            email=email,
            role=role,
            workspace=tenant.name,
            token_hash=hash_of(token),
            invited_by=by.user,
            expires_at=now + LASTS,
        )
        record(
            "member.invited",
            tenant_id=tenant.pk,
            user_id=by.user_id,
            target=str(made.public_id),
            details={"role": role},
        )
        send(
            email, f"you are invited to {tenant.name}", "invitation", invitation=made, link=link.replace("TOKEN", token)
        )
    return made


def withdraw(by: Membership, invitation: Invitation) -> None:
    """End the link of an invitation that nobody has taken yet."""
    with acting_for(by.tenant_id), transaction.atomic():
        Invitation.objects.filter(pk=invitation.pk, accepted_at=None).update(withdrawn_at=utc_now())
        record("invitation.withdrawn", tenant_id=by.tenant_id, user_id=by.user_id, target=str(invitation.public_id))


def found(token: str) -> Invitation | None:
    """The invitation of the link, if it still opens anything."""
    with holding_invitation(hash_of(token)):
        row: Invitation | None = Invitation.objects.select_related("invited_by").first()
    closed = row is None or row.accepted_at or row.withdrawn_at or row.expires_at <= utc_now()
    return None if closed else row


def accept(token: str, user: User) -> Membership:
    """Make `user` a member in the role that the invitation names; who is one keeps theirs. Raises NotInvited."""
    invitation = found(token)
    if invitation is None:
        raise NotInvited("This invitation has been used, was withdrawn or is too old. Ask for a new one.")
    if invitation.email.lower() != user.email.lower():
        raise NotInvited(
            f"This invitation is for {invitation.email}. Log in with that address, or ask for one to yours."
        )
    with acting_for(invitation.tenant_id), transaction.atomic():
        taken = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, withdrawn_at=None)
        if not taken.update(accepted_at=utc_now(), accepted_by=user):
            raise NotInvited("This invitation has been used or was withdrawn. Ask for a new one.")
        membership, is_new = Membership.objects.select_related("tenant").get_or_create(
            tenant=Tenant.objects.get(pk=invitation.tenant_id), user=user, defaults={"role": invitation.role}
        )
        if not is_new and not membership.is_active:
            membership.role, membership.is_active = invitation.role, True
            membership.save(update_fields=["role", "is_active"])
        record(
            "member.joined",
            tenant_id=invitation.tenant_id,
            user_id=user.pk,
            target=str(invitation.public_id),
            details={"role": membership.role},
        )
    return membership


def hash_of(token: str) -> str:
    """What is kept of a token: 32 random bytes need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
