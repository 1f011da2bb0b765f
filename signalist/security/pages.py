"""What happened at one's own doors, and how an incident ends."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from signalist.clock import utc_now
from signalist.domain.login_risk import Response
from signalist.security.incidents import held, resolve
from signalist.security.notices import incident_of
from signalist.security.selectors import events_of, incidents_of
from tenants.access import MemberRequest, member


@require_safe
@member
def log_ins(request: MemberRequest) -> HttpResponse:
    """Log-ins and failures, incidents, and what is held back."""
    response = held(request.user)
    context = {
        "section": "log_ins",
        "events": events_of(request.user.pk),
        "incidents": incidents_of(request.user.pk),
        "entries_held": response == Response.ENTRIES_HELD,
        "step_up": response == Response.STEP_UP,
    }
    return render(request, "security/log_ins.html", context)


@require_http_methods(["GET", "POST"])
def incident_confirm(request: HttpRequest, token: str) -> HttpResponse:
    """From the mail: the person says that it was they. The link proves that they read their mail, so no log-in is asked for."""
    incident = incident_of(token)
    if incident is None or incident.user is None:
        return render(request, "security/confirm.html", {"problem": "old"}, status=410)
    if request.method == "POST":
        person: Any = incident.user
        resolve(incident, person, "confirmed by the person through the mail", utc_now())
        messages.success(request, "Thank you: the log-in was yours, and nothing is held back any more.")
        return redirect("log_ins" if request.user.is_authenticated else "account_login")
    context = {"incident": incident, "problem": "ended" if incident.resolved_at else ""}
    return render(request, "security/confirm.html", context)
