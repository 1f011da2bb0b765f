"""The owner of an e-mail address comes to an account that somebody opened with it and never proved to be theirs.

Who signs up with another's address can leave ways in for the day on which its owner comes by a provider that vouches for them: a second
address, a provider, a key. All of them end, and until the address is proven few can be made (`is_confirmed`).
"""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.dispatch import Signal

from signalist.audit.writing import record
from signalist.clock import utc_now
from tenants.belonging import Invitation
from tenants.doors import acting_for
from tenants.models import User
from tenants.security.endings import end_sessions
from tenants.selectors import memberships_of

CONFIRM_FIRST = "Confirm your e-mail address first: a link for it is under Profile, E-mail addresses."

owner_came = Signal()
"""Sent with `user` and `tenant_id`, once for each workspace of an account whose owner has come or has a new password by mail, behind its
door and in one transaction: who keeps more ways in (keys for programs) ends those."""


def is_confirmed(user: User) -> bool:
    """Whether the person has shown that the address is theirs. Whom an operator entered without asking needs not to."""
    return not EmailAddress.objects.filter(user_id=user.pk, email__iexact=user.email, verified=False).exists()


def is_proven(user: User, email: str) -> bool:
    """Whether `user` has shown before that `email` is theirs."""
    return bool(EmailAddress.objects.filter(user_id=user.pk, email__iexact=email, verified=True).exists())


def forget_claims(email: str) -> int:
    """Take an address that its owner comes with from accounts that only name it beside their own; how many had it."""
    claims = EmailAddress.objects.filter(email__iexact=email, verified=False).exclude(user__email__iexact=email)
    return int(claims.delete()[0])


def hand_to_owner(user: User, *, but: str | None = None, with_password: bool = False) -> None:
    """End every way in that may be another's, now that the owner of the account's own address has come; that address is proven by it.

    `but`: the key of the session in which they are coming. `with_password`: they have just set it. What was traded, and with
    which accounts, stays.
    """
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if not with_password:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        EmailAddress.objects.filter(user=user).exclude(email__iexact=user.email).delete()
        EmailAddress.objects.update_or_create(
            user=user,
            email__iexact=user.email,
            defaults={"email": user.email.lower(), "verified": True, "primary": True},
        )
        SocialAccount.objects.filter(user=user).delete()
        Authenticator.objects.filter(user=user).delete()
        _end_keys_and_links(user, "account.owner_came")
        end_sessions(user.pk, but=but, why="owner_came", by=user.pk)


def reset_by_mail(sender: object, user: User, **kwargs: Any) -> None:
    """Receiver of allauth's signal of a password that was reset by a link in a mail: whoever else had come in may have made ways of their
    own, so keys for programs and open invitations end beside the log-ins, with their proofs of who it is (`sessions.renewed`).

    Where nobody had proven the account's one address before, the mail's reader has come as its owner. With a second address the mail may
    have gone to that one, and proves nothing of the first. Second factors of a proven account stay: they are what a stolen mailbox lacks.
    """
    others = EmailAddress.objects.filter(user_id=user.pk).exclude(email__iexact=user.email)
    if is_confirmed(user) or others.exists():
        with transaction.atomic():
            _end_keys_and_links(user, "account.keys_ended")
    else:
        hand_to_owner(user, with_password=True)


def _end_keys_and_links(user: User, action: str) -> None:
    for membership in memberships_of(user.pk):
        with acting_for(membership.tenant_id):
            open_ones = Invitation.objects.filter(invited_by=user, accepted_at=None, withdrawn_at=None)
            open_ones.update(withdrawn_at=utc_now())
            owner_came.send(User, user=user, tenant_id=membership.tenant_id)
            record(action, tenant_id=membership.tenant_id, user_id=user.pk)
