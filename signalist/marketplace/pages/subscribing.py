"""Subscribing: a form with a preview of what the next trade would be, before anything is confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from signalist.execution.health import present
from signalist.marketplace import choices, selectors
from signalist.marketplace.choices import AccountChoice, MarketChoice
from signalist.marketplace.forms import SubscribeForm
from signalist.marketplace.preview import NoPreview, Preview, preview
from signalist.trading.actions import subscribe as start
from signalist.trading.models import Subscription
from signalist.trading.terms import Refused, apply, check
from signalist.trading.whose import all_accounts
from tenants.access import MemberRequest, needs_some
from tenants.permissions import within

UNSAVED = 0
"""The primary key that a subscription has while it is only previewed."""


@require_http_methods(["GET", "POST"])
@needs_some("subscriptions.change", all_accounts)
def subscribe(request: MemberRequest, slug: str) -> HttpResponse:
    """The form; with `preview` only what it would mean; confirmed, the subscription and its page."""
    offer = selectors.offer(slug)
    if offer is None:
        raise Http404("There is no such strategy.")
    accounts = choices.accounts(offer.id, within(request.membership, "subscriptions.change", all_accounts()))
    markets = choices.markets(offer.id, [market.schedule_id for market in offer.markets])
    trying = request.method == "GET" or "preview" in request.POST
    form = SubscribeForm(accounts, markets, _data(request, accounts, markets), trying=trying)
    if form.is_valid() and not trying:
        made = _confirmed(request, form)
        if made is not None:
            messages.success(request, f"You follow {offer.name} now. It answers the strategy’s next signal.")
            return redirect("subscription", made.public_id)
    shown, problem = _previewed(request, form)
    context = {"section": "marketplace", "offer": offer, "form": form, "accounts": accounts, "markets": markets}
    only_preview = bool(request.htmx) and trying
    currencies = {choice.row.currency for choice in accounts}
    context |= {"preview": shown, "problem": problem, "alone": only_preview}
    context["currency"] = currencies.pop() if len(currencies) == 1 else ""
    return render(request, "marketplace/parts/preview.html" if only_preview else "marketplace/subscribe.html", context)


def _data(request: MemberRequest, accounts: Sequence[AccountChoice], markets: Sequence[MarketChoice]) -> Any:
    """What was typed; at first, what the form begins with, so that it can be previewed at once."""
    return request.POST if request.method == "POST" else SubscribeForm(accounts, markets).initial


def _confirmed(request: MemberRequest, form: SubscribeForm) -> Subscription | None:
    """The subscription; None where it is refused, with the reason on the form."""
    account, market = form.chosen_account, form.chosen_market
    try:
        return start(
            account,
            market.schedule,
            market.instrument,
            form.terms(),
            present(),
            nets=choices.nets(account.venue),
            by=request.user,
        )
    except Refused as refused:
        form.refuse(refused)
        return None


def _previewed(request: MemberRequest, form: SubscribeForm) -> tuple[Preview | None, str]:
    """The preview of what the form says, or why there is none. What would be refused is said on the form already."""
    if form.errors.keys() - {"consent"}:
        return None, ""
    account, market, terms = form.chosen_account, form.chosen_market, form.terms()
    subscription = Subscription(
        pk=UNSAVED,
        tenant=request.tenant,
        account=account,
        strategy_id=market.schedule.version.strategy_id,
        schedule=market.schedule,
        instrument=market.instrument,
    )
    apply(subscription, terms)
    try:
        check(account, market.schedule, market.instrument, terms, nets=choices.nets(account.venue))
        return preview(subscription, present()), ""
    except Refused as refused:
        form.refuse(refused)
        return None, ""
    except NoPreview as missing:
        return None, str(missing)
