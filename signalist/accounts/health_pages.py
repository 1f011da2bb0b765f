"""Pages about how the venues of a workspace's accounts answer, and the means to ask them now."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from signalist.accounts.health import Health, health
from signalist.accounts.inquiries import TooSoon, ask
from signalist.accounts.models import Account
from signalist.clock import utc_now
from tenants.access import MemberRequest, needs
from tenants.doors import acting_for, viewing

_SECTION = {"section": "connections"}


@require_safe
@needs("credentials.view")
def account_health(request: MemberRequest) -> HttpResponse:
    """Every account of the workspace: whether its venue answers the engine, since when, and what it said when somebody last asked."""
    with viewing(request.tenant.pk):
        found = health(utc_now())
    return render(request, "accounts/health.html", _SECTION | {"accounts": found})


@require_safe
@needs("credentials.view")
def account_answer(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """One account alone, for the page that waits for an answer."""
    with viewing(request.tenant.pk):
        found = _one(public_id)
    return render(request, "accounts/health_account.html", {"account": found})


@require_POST
@needs("credentials.view")
def account_ask(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """Ask the account's venue now. It is only asked; nothing is changed there."""
    with acting_for(request.tenant.pk):
        account = Account.objects.filter(public_id=public_id).first()
        if account is None:
            raise Http404
        problem = ""
        try:
            ask(account, request.user.pk, utc_now())
        except TooSoon as error:
            problem = str(error)
        if request.headers.get("HX-Request"):
            return render(request, "accounts/health_account.html", {"account": _one(public_id), "problem": problem})
    if problem:
        messages.error(request, problem)
    return redirect("account_health")


def _one(public_id: uuid.UUID) -> Health:
    found = next(iter(health(utc_now(), public_id)), None)
    if found is None:
        raise Http404
    return found
