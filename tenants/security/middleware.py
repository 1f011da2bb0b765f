"""Ends log-ins that nobody has used for too long, and notes once a minute that one is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from signalist.logs import logger
from tenants.second_factors import CannotOpen
from tenants.security.endings import is_idle
from tenants.security.sessions import needs_a_note, note

log = logger(__name__)


class SessionsMiddleware:
    """Stands before the one that opens the door of a workspace: what it writes belongs to no tenant."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._next = get_response

    def __call__(self, request: Any) -> HttpResponse:
        if request.user.is_authenticated:
            if is_idle(request.session):
                logout(request)
                messages.info(
                    request,
                    "You were logged out, because nobody had used this page for a while. Your strategies went on.",
                )
                return redirect_to_login(request.get_full_path() if request.method == "GET" else "/dashboard/")
            if needs_a_note(request):
                note(request, request.user)
        return self._next(request)

    def process_exception(self, request: Any, exception: Exception) -> HttpResponse | None:
        """A second factor that the house cannot open is the house's fault, and is said so wherever it is asked for."""
        if not isinstance(exception, CannotOpen):
            return None
        log.error("second_factor_not_opened", path=request.path)
        return render(request, "tenants/security/unreadable.html", status=503)
