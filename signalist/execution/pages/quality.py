"""How well orders were carried out, over a period and by venue, account and instrument."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from signalist.accounts.models import Account
from signalist.display.listing import Choice
from signalist.execution.health import present
from signalist.risk.outages import entries_lost
from signalist.trading.execution_metrics import MOST_ORDERS, Chosen, metrics
from signalist.trading.order_book import traded_instruments
from tenants.access import MemberRequest, member

_PERIODS = (("1", "24 hours"), ("7", "7 days"), ("30", "30 days"))


@require_safe
@member
def quality(request: MemberRequest) -> HttpResponse:
    """Orders, success, latency, slippage, fees and what was missed."""
    accounts = list(Account.objects.order_by("name", "pk"))
    venues = [(venue, venue.capitalize()) for venue in sorted({row.venue for row in accounts})]
    choices = (
        Choice.of(request.GET, "period", "Within", _PERIODS, default="7"),
        Choice.of(request.GET, "venue", "Venue", [("", "All venues"), *venues]),
        Choice.of(
            request.GET, "account", "Account", [("", "All accounts"), *((str(row.pk), row.name) for row in accounts)]
        ),
        Choice.of(request.GET, "instrument", "Instrument", [("", "All instruments"), *traded_instruments()]),
    )
    period, venue, account, instrument = (choice.value for choice in choices)
    chosen = Chosen(
        present() - timedelta(days=int(period)),
        venue,
        int(account) if account else None,
        int(instrument) if instrument else None,
    )
    found = metrics(chosen, entries_lost(chosen))
    context = {"section": "quality", "choices": choices, "found": found, "most": MOST_ORDERS}
    return render(request, "trading/quality.html", context)
