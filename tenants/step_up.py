"""The password once more, before what a stolen session or an unlocked screen must not be enough for (RISK-33, CON-89)."""

from __future__ import annotations

from urllib.parse import urlencode

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse


def stepped_up(request: HttpRequest) -> bool:
    """Whether the person has given the password again within the last minutes."""
    try:
        reauthentication_required(lambda request: None)(request)
    except ReauthenticationRequired:
        return False
    return True


def ask_password(request: HttpRequest, back: str, words: str) -> HttpResponse:
    """To the page that asks for the password, and from there to the address `back`; `words` say why, and that nothing was done yet."""
    messages.info(request, words)
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}")
