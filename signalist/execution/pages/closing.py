"""Closing many positions at once: of a subscription, of an account, or everything and nothing new. Each asks by being a page of its own."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from signalist.accounts.models import Account
from signalist.domain.errors import DomainError
from signalist.execution.actions import close_all, flatten
from signalist.execution.health import present
from signalist.risk.restraints import restraints
from signalist.risk.selectors import halts
from signalist.trading import exposures
from signalist.trading.commands import USED
from signalist.trading.models import Subscription
from signalist.trading.whose import all_accounts, of_account, of_subscription
from tenants.access import MemberRequest, needs, needs_some
from tenants.permissions import within


@require_safe
@needs_some("orders.give", all_accounts)
def choose(request: MemberRequest) -> HttpResponse:
    """The accounts that the member may trade on, with what each holds."""
    accounts = list(within(request.membership, "orders.give", all_accounts()))
    context = {
        "section": "positions",
        "accounts": exposures.of_accounts(accounts, present(), halts({request.tenant.pk})),
    }
    return render(request, "trading/close_many.html", context)


@require_http_methods(["GET", "POST"])
@needs("orders.give", of_account)
def account(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """One account: `what` is `close` (its positions) or `flatten` (its positions and orders, and its subscriptions are paused)."""
    row = Account.objects.filter(public_id=public_id).first()
    if row is None:
        raise Http404("There is no such account in this workspace.")
    key = _key(request)
    if request.method == "POST" and key is not None:
        try:
            if request.POST.get("what") == "flatten":
                given = flatten(row, f"flatten:{key}", "flattened by hand", present(), request.user, pausing=True)
            else:
                given = close_all(row, f"close-all:{key}", "all closed by hand", present(), request.user)
            return redirect("command", given.public_id)
        except DomainError:
            messages.error(request, USED)
    elif request.method == "POST":
        messages.error(request, "The form was not complete, so nothing was done. Try again.")
    context = {
        "section": "positions",
        "held": exposures.of_accounts([row], present(), halts({row.tenant_id}))[0],
        "subscription": None,
    }
    context["restraint"] = restraints([request.tenant.pk]).over_all
    flat = request.GET.get("what") == "flatten"
    return render(request, "trading/close_confirm.html", context | {"key": uuid.uuid4(), "flat": flat})


@require_http_methods(["GET", "POST"])
@needs("orders.give", of_subscription)
def subscription(request: MemberRequest, public_id: uuid.UUID) -> HttpResponse:
    """What one subscription holds."""
    row = Subscription.objects.select_related("account", "strategy").filter(public_id=public_id).first()
    if row is None:
        raise Http404("There is no such subscription in this workspace.")
    key = _key(request)
    if request.method == "POST" and key is not None:
        reason = "closed by hand, with all of its subscription"
        # Under the subscription's own name: a form that was used for another one is no command for this one.
        own = f"close-all:{row.pk}:{key}"
        try:
            given = close_all(row.account, own, reason, present(), request.user, subscription=row)
            return redirect("command", given.public_id)
        except DomainError:
            messages.error(request, USED)
    elif request.method == "POST":
        messages.error(request, "The form was not complete, so nothing was done. Try again.")
    held = exposures.of_accounts([row.account], present(), halts({row.tenant_id}), row)[0]
    context = {"section": "positions", "held": held, "subscription": row, "key": uuid.uuid4(), "flat": False}
    context["restraint"] = restraints([request.tenant.pk]).over_all
    return render(request, "trading/close_confirm.html", context)


def _key(request: MemberRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("key", ""))
    except ValueError:
        return None
