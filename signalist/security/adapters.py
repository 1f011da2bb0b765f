"""How log-ins are counted against guessing: a browser that has been let in before has a count of its own.

allauth counts the attempts on an account wherever they come from, so that many who guess a little each get nowhere; by that count alone
anybody could keep a person out who knows their address.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest

from signalist.clock import utc_now
from signalist.security import incidents
from signalist.security.visitors import Visitor
from tenants.adapters import OurAccounts
from tenants.models import User


class CountedAccounts(OurAccounts):
    """The house's log-in, whose limit on an account does not reach the browsers that its person uses."""

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Raises ValidationError where too many were wrong; the account's person is told of it."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            if (user := _whose(credentials)) is not None:
                incidents.guessed_at(user, Visitor.of(request), utc_now())
            raise

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        key: str = super()._get_login_attempts_cache_key(request, **credentials)
        device = Visitor.of(request).device
        # A name alone says nothing: whoever guesses has one of their own log-ins elsewhere.
        if device and (user := _whose(credentials)) is not None and incidents.is_known(user, device, utc_now()):
            return f"{key}:{device}"
        return key


def _whose(credentials: dict[str, Any]) -> User | None:
    typed = str(credentials.get("email") or "").strip()
    return User.objects.filter(email__iexact=typed).first() if typed else None
