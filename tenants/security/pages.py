"""The page of a person's own safety, and where those confirm who they are who have neither a password nor a second factor."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from tenants.access import MemberRequest, member
from tenants.security.endings import end_sessions
from tenants.security.selectors import proofs_of
from tenants.security.sessions import standing_of
from tenants.step_up import BY_PROVIDER, way_of


@require_safe
@member
def security(request: MemberRequest) -> HttpResponse:
    """What opens the account, and where it is open."""
    sessions = standing_of(request.user, request.session.session_key)
    context = {"section": "security", "proofs": proofs_of(request.user), "sessions": sessions}
    return render(request, "tenants/security/security.html", context)


@require_POST
@member
def end_session(request: MemberRequest) -> HttpResponse:
    """End one log-in, by its digest, or all others but this one."""
    only = [digest] if (digest := request.POST.get("session", "")) else []
    ended = end_sessions(
        request.user.pk, but=request.session.session_key, only=only, why="terminated", by=request.user.pk
    )
    words = "No other log-in was open." if not ended else f"{ended} log-in{'s' if ended > 1 else ''} ended, at once."
    messages.success(request, words)
    return redirect("security")


@require_safe
@login_required
def confirm_by_provider(request: Any) -> HttpResponse:
    """Log in anew at the provider, which asks for more than a click, and come back."""
    if (way := way_of(request.user)) != BY_PROVIDER:
        return redirect(way)
    return render(request, "tenants/security/confirm_by_provider.html")
