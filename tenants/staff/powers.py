"""Staff's powers: begun with a reason and a proof of who it is, for a while, in one log-in, on record (ACC-22, ACC-24)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from signalist.audit.writing import record
from signalist.clock import utc_now
from tenants.belonging import StaffSession
from tenants.security.endings import session_hash

View = Callable[..., HttpResponse]
VIEW_AS = "view_as"


def begin(request: Any, reason: str) -> StaffSession:
    """Give the powers to this log-in until they run out."""
    now = utc_now()
    made = StaffSession.objects.create(
        user=request.user,
        reason=reason,
        login=session_hash(request.session.session_key),
        started_at=now,
        expires_at=now + timedelta(minutes=settings.STAFF_MINUTES),
    )
    record(
        "staff.powers_begun",
        tenant_id=None,
        user_id=request.user.pk,
        target=str(made.public_id),
        details={"until": made.expires_at},
        words=reason,
    )
    return made


def end(request: Any) -> None:
    """Give the powers back."""
    request.session.pop(VIEW_AS, None)
    held = powers_of(request)
    if held is not None:
        StaffSession.objects.filter(pk=held.pk).update(ended_at=utc_now())
        record("staff.powers_ended", tenant_id=None, user_id=request.user.pk, target=str(held.public_id))


def powers_of(request: Any) -> StaffSession | None:
    """The powers that this log-in has now."""
    user = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff and request.session.session_key):
        return None
    held = StaffSession.objects.filter(user=user, login=session_hash(request.session.session_key), ended_at=None)
    return held.filter(expires_at__gt=utc_now()).order_by("-pk").first()


def to_the_powers(request: Any) -> HttpResponse:
    """To the page where they are begun, and back to where one was."""
    back = request.get_full_path() if request.method == "GET" else reverse("staff")
    return redirect(f"{reverse('staff_powers')}?{urlencode({'next': back})}")


def for_staff(view: View) -> View:
    """For everybody else there is no such page."""

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if not (request.user.is_authenticated and request.user.is_staff):
            raise Http404("There is nothing here.")
        return view(request, *args, **kwargs)

    return guarded


def with_powers(view: View) -> View:
    """For staff whose powers are begun and have not run out."""

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        request.powers = powers_of(request)
        return to_the_powers(request) if request.powers is None else view(request, *args, **kwargs)

    return for_staff(guarded)
