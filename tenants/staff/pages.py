"""Staff's pages about people."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants.models import User
from tenants.security.endings import end_sessions
from tenants.staff.actions import NotDone, reactivate, suspend, view_as
from tenants.staff.powers import VIEW_AS, begin, end, for_staff, powers_of, with_powers
from tenants.staff.selectors import STATES, dossier, search
from tenants.step_up import steps_up

PER_PAGE = 50


@require_http_methods(["GET", "POST"])
@for_staff
@steps_up("Staff's powers want a proof that it is you.")
def powers(request: Any) -> HttpResponse:
    """Begin the powers, with a reason."""
    back = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = ""
    if request.method == "POST":
        reason = request.POST.get("reason", "").strip()[:200]
        if len(reason) >= 5:
            begin(request, reason)
            return redirect(back or "staff")
        messages.error(request, "Say why you need them, in a few words; they stand in the audit log.")
    return render(request, "tenants/staff/powers.html", {"powers": powers_of(request)})


@require_POST
@for_staff
def give_back(request: Any) -> HttpResponse:
    """End the powers before they run out."""
    end(request)
    messages.success(request, "Your powers have ended.")
    return redirect("dashboard")


@require_safe
@with_powers
def people(request: Any) -> HttpResponse:
    """Search for people."""
    words, state = request.GET.get("q", "")[:100], request.GET.get("state", "")
    page = Paginator(search(words, state), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "section": "staff",
        "page": page,
        "words": words,
        "state": state,
        "states": STATES,
        "powers": request.powers,
    }
    return render(request, "tenants/staff/people.html", context)


@require_safe
@with_powers
def one(request: Any, public_id: uuid.UUID) -> HttpResponse:
    """One person."""
    context = {"section": "staff", "dossier": dossier(_user(public_id)), "powers": request.powers}
    return render(request, "tenants/staff/person.html", context)


@require_POST
@with_powers
def set_state(request: Any, public_id: uuid.UUID) -> HttpResponse:
    """Suspend somebody, let them in again, or end their log-ins."""
    user, what = _user(public_id), request.POST.get("what", "")
    try:
        if what == "suspend":
            suspend(request.user, user, request.POST.get("reason", ""))
            messages.success(request, "Suspended. Their log-ins have ended; what they hold stays protected.")
        elif what == "reactivate":
            reactivate(request.user, user)
            messages.success(request, "They may log in again.")
        elif what == "end":
            ended = end_sessions(user.pk, why="terminated", by=request.user.pk)
            messages.success(request, f"Log-ins that have ended: {ended}.")
    except NotDone as problem:
        messages.error(request, str(problem))
    return redirect("staff_person", public_id)


@require_POST
@with_powers
def look(request: Any, public_id: uuid.UUID) -> HttpResponse:
    """Look at one of somebody's workspaces as they see it."""
    found = [m for m in dossier(_user(public_id)).memberships if str(m.tenant.public_id) == request.POST.get("tenant")]
    if not found or not found[0].is_active:
        messages.error(request, "They are not in that workspace.")
        return redirect("staff_person", public_id)
    request.session[VIEW_AS] = view_as(request.user, found[0], request.powers.reason)
    return redirect("dashboard")


@require_POST
@for_staff
def look_away(request: Any) -> HttpResponse:
    """End the look."""
    request.session.pop(VIEW_AS, None)
    return redirect("staff")


def _user(public_id: uuid.UUID) -> User:
    return get_object_or_404(User, public_id=public_id)
