"""Reads about a person's own safety: what opens their account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount

from tenants.models import User
from tenants.second_factors import CannotOpen


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key of a device, by the name that its owner gave it."""

    pk: int
    name: str
    made_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Proofs:
    """What opens an account. `codes_left` is None where there are no recovery codes, 0 where none of them opens."""

    has_password: bool
    providers: tuple[str, ...]
    confirmed: bool
    app_since: datetime | None
    passkeys: tuple[Passkey, ...]
    codes_left: int | None

    @property
    def has_second(self) -> bool:
        """Whether a password alone is not enough."""
        return self.app_since is not None or bool(self.passkeys)


def proofs_of(user: User) -> Proofs:
    """All that opens the account of `user`, in three queries."""
    found = list(Authenticator.objects.filter(user_id=user.pk).order_by("created_at"))
    apps = [row.created_at for row in found if row.type == Authenticator.Type.TOTP]
    codes = [row for row in found if row.type == Authenticator.Type.RECOVERY_CODES]
    keys = [row for row in found if row.type == Authenticator.Type.WEBAUTHN]
    return Proofs(
        has_password=user.has_usable_password(),
        providers=tuple(
            str(account.extra_data.get("email") or account.provider)
            for account in SocialAccount.objects.filter(user_id=user.pk).order_by("pk")
        ),
        confirmed=not EmailAddress.objects.filter(user_id=user.pk, verified=False).exists(),
        app_since=apps[0] if apps else None,
        passkeys=tuple(Passkey(key.pk, key.wrap().name, key.created_at, key.last_used_at) for key in keys),
        codes_left=_left(codes[0]) if codes else None,
    )


def _left(codes: Authenticator) -> int:
    try:
        return len(codes.wrap().get_unused_codes())
    except CannotOpen:
        return 0
