"""Headers that every answer carries, and the maintenance page."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

Next = Callable[[HttpRequest], HttpResponse]

# No inline script or style, no eval, nothing from elsewhere. `connect-src 'self'` covers the socket of the same origin.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Django's admin draws some of its widgets with inline styles; it is for staff alone.
ADMIN_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
# Where somebody may be sent on to another provider's log-in by the answer to a form.
DOORS = ("/accounts/", "/invitations/")
ALWAYS_OPEN = ("/health", "/static/")


class HeadersMiddleware:
    """Content security policy, permissions, and no caching of what belongs to somebody."""

    def __init__(self, get_response: Next) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._next(request)
        policy = ADMIN_POLICY if request.path.startswith("/admin/") else POLICY
        if settings.FORM_TARGETS and request.path.startswith(DOORS):
            policy = policy.replace("form-action 'self'", " ".join(("form-action 'self'", *settings.FORM_TARGETS)))
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        )
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if not response.has_header("Cache-Control"):
            response.headers["Cache-Control"] = "no-store"
        return response


class MaintenanceMiddleware:
    """While the file that `MAINTENANCE_FILE` names exists, every page is the maintenance page (503)."""

    def __init__(self, get_response: Next) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.MAINTENANCE_FILE.exists() and not request.path.startswith(ALWAYS_OPEN):
            response = render(request, "maintenance.html", status=503)
            response.headers["Retry-After"] = "120"
            return response
        return self._next(request)
