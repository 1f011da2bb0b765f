"""Log-in as allauth asks for it, where guessing at somebody's password must not keep the person themselves from coming in."""

from __future__ import annotations

from typing import Any

from allauth.account.utils import filter_users_by_email
from django.http import HttpRequest

from signalist.clock import utc_now
from signalist.security import incidents
from signalist.security.visitors import Visitor
from tenants.adapters import OurAccounts


class AtTheDoor(OurAccounts):
    """A browser that the account was opened with before has attempts of its own: allauth counts five in five minutes of each account.

    So whoever guesses from wherever uses up what strangers have, and nothing of its owner's; and a known browser in wrong hands has five,
    too. (OWASP, "Slow down online guessing attacks with device cookies".)
    """

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        counted: str = super()._get_login_attempts_cache_key(request, **credentials)
        typed, device = str(credentials.get("email") or "").strip(), Visitor.of(request).device
        known = bool(typed and device) and incidents.has_known(
            [user.pk for user in filter_users_by_email(typed)], device, utc_now()
        )
        return f"{counted}:{device}" if known else counted
