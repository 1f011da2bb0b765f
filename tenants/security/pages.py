"""The page of a person's own safety, and where those confirm who they are who have neither a password nor a second factor."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from tenants.access import MemberRequest, member
from tenants.security.selectors import proofs_of
from tenants.step_up import BY_PROVIDER, way_of


@require_safe
@member
def security(request: MemberRequest) -> HttpResponse:
    """What opens the account."""
    return render(request, "tenants/security/security.html", {"section": "security", "proofs": proofs_of(request.user)})


@require_safe
@login_required
def confirm_by_provider(request: Any) -> HttpResponse:
    """Log in anew at the provider, which asks for more than a click, and come back."""
    if (way := way_of(request.user)) != BY_PROVIDER:
        return redirect(way)
    return render(request, "tenants/security/confirm_by_provider.html")
