"""What everybody may see, logged in or not: the strategies on offer, and each with its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from signalist.display.charts import Chart, chart, drawdown
from signalist.display.listing import page_of
from signalist.display.numbers import percent
from signalist.execution.health import present
from signalist.marketplace import selectors
from signalist.marketplace.records import Record
from signalist.marketplace.search import SORTS, Search, choices, found
from signalist.trading.models import Subscription, SubscriptionStatus
from signalist.trading.whose import all_accounts
from tenants.permissions import permits_some


def shell(request: Any) -> dict[str, Any]:
    """What the two shells differ in: a member sees the workspace's, everybody else the public one."""
    inside = getattr(request, "tenant", None) is not None
    return {
        "shell": "base.html" if inside else "site.html",
        "section": "marketplace",
        "inside": inside,
        "may_trade": inside and permits_some(request.membership, "subscriptions.change", all_accounts()),
    }


@require_safe
def marketplace(request: HttpRequest) -> HttpResponse:
    """The list, searched, filtered and sorted from what is kept for everybody; only `subscribed` is the member's own."""
    offers, search = selectors.catalogue(), Search.of(request.GET)
    page = page_of(found(offers, search), list, request.GET.get("page"))
    context = shell(request) | choices(offers)
    context |= {
        "page": page,
        "search": search,
        "sorts": SORTS,
        "offered": len(offers),
        "any_live": any(offer.live for offer in offers),
        "any_paper": any(offer.paper for offer in offers),
        "subscribed": _followed() if context["inside"] else frozenset(),
    }
    return render(request, "marketplace/marketplace.html", context)


def _followed() -> frozenset[str]:
    """The slugs that the workspace follows now."""
    live = Subscription.objects.exclude(status=SubscriptionStatus.ENDED)
    return frozenset(live.values_list("strategy__slug", flat=True))


@require_safe
def strategy(request: HttpRequest, slug: str) -> HttpResponse:
    """One strategy: its record, recent signals, parameters, versions and terms."""
    offer = selectors.offer(slug)
    if offer is None:
        raise Http404("There is no such strategy.")
    context = shell(request)
    records = [record for record in (offer.live, offer.paper) if record is not None]
    context |= {
        "offer": offer,
        "records": [(record, *charts(record)) for record in records],
        "signals": selectors.recent_signals(offer.id, present()),
        "versions": selectors.versions(offer.id),
        "own": _own(offer.id) if context["inside"] else [],
    }
    return render(request, "marketplace/strategy.html", context)


def _own(strategy_id: int) -> list[Subscription]:
    """The workspace's live subscriptions of a strategy, with their accounts."""
    live = Subscription.objects.filter(strategy=strategy_id).exclude(status=SubscriptionStatus.ENDED)
    return list(live.select_related("account").order_by("pk"))


def charts(record: Record) -> tuple[Chart, Chart]:
    """The record's curve as returns from zero, and its drawdown below it on the same time axis."""
    kind = "paper" if record.is_paper else "live"
    css = "hypo" if record.is_paper else ""
    returns = [(at, value - 1) for at, value in record.curve]
    said = f"Return of the {kind} record, now {percent(record.returned, signed=True)}"
    fell = f"Drawdown of the {kind} record, worst {percent(record.worst)}"
    return (
        chart(said, [(returns, css)], _axis(returns)),
        chart(fell, [(drawdown(record.curve), "loss")], _axis(drawdown(record.curve)), ceiling=0.0, lines=2),
    )


def _axis(points: Sequence[tuple[Any, float]]) -> Any:
    """Percents with as many places as the line's height asks for."""
    values = [value for _, value in points]
    places = 1 if max(values) - min(values) > 0.02 else 2
    return lambda value: percent(value, places)
