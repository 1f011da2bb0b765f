"""Who it is, once more, before what a stolen session or an unlocked screen must not be enough for (ACC-06, RISK-33, CON-89).

Asked for is the strongest that the person has: the second factor, else the password, else a new log-in at the provider that they come
from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from signalist.clock import utc_now

View = Callable[..., HttpResponse]

BY_PROVIDER = "confirm_by_provider"
BY_PASSWORD = "account_reauthenticate"  # noqa: S105 the name of a page
BY_CODE = "mfa_reauthenticate"
BY_PASSKEY = "mfa_reauthenticate_webauthn"
_METHODS = {BY_PASSWORD: "password", BY_CODE: "mfa", BY_PASSKEY: "mfa", BY_PROVIDER: "socialaccount"}


def way_of(user: Any) -> str:
    """By which page this person proves who they are: the name of its address."""
    if is_mfa_enabled(user, [Authenticator.Type.TOTP]):
        return BY_CODE
    if is_mfa_enabled(user, [Authenticator.Type.WEBAUTHN]):
        return BY_PASSKEY
    return BY_PASSWORD if user.has_usable_password() else BY_PROVIDER


def stepped_up(request: HttpRequest) -> bool:
    """Whether the person has proven within the last minutes who they are, by the strongest that they have."""
    if not request.user.is_authenticated:
        return False
    way = way_of(request.user)
    earliest = utc_now().timestamp() - app_settings.REAUTHENTICATION_TIMEOUT
    return any(
        record["at"] > earliest
        and record["method"] == _METHODS[way]
        # A log-in proves nothing more, but where a new one is all that can be asked for.
        and (record.get("reauthenticated") or way == BY_PROVIDER)
        for record in get_authentication_records(request, request.user)
    )


def ask_password(request: HttpRequest, back: str, words: str) -> HttpResponse:
    """To the page that asks once more, and from there to the address `back`; `words` say why, and that nothing was done yet."""
    messages.info(request, words)
    return redirect(f"{reverse(way_of(request.user))}?{urlencode({'next': back})}")


def steps_up(words: str) -> Callable[[View], View]:
    """For a page whose form changes what is critical: it is shown, and its form taken, only after stepping up. `words` say why."""

    def decorated(view: View) -> View:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            if stepped_up(request):
                return view(request, *args, **kwargs)
            return ask_password(request, request.get_full_path(), words)

        return guarded

    return decorated
