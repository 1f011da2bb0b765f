"""Pages of the markets: the list of instruments, and one instrument with its candles and the tenant's own trades on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from signalist.display.charts import spark
from signalist.display.listing import page_of
from signalist.display.moments import zone_of
from signalist.execution.health import present
from signalist.markets.fed import listed
from signalist.markets.feed_status import followed
from signalist.markets.indicators import chosen_now
from signalist.markets.models import Instrument
from signalist.markets.overview import Glance, glances
from signalist.markets.pages.candles import shown
from signalist.markets.pages.depth import book_of
from signalist.strategies.registry import Running, running_on
from tenants.access import MemberRequest, member

REGIONS = ("last-prices",)


@require_safe
@member
def instruments(request: MemberRequest) -> HttpResponse:
    """All instruments that can be traded, with their newest prices; those that nobody feeds now apart from the others."""
    now = present()
    page = page_of(listed(now), partial(_shown, now=now), request.GET.get("page"))
    return render(request, "markets/instruments.html", {"section": "instruments", "regions": REGIONS, "page": page})


def _shown(rows: list[Instrument], now: datetime) -> list[tuple[Glance, str, Sequence[Running]]]:
    """Each at a glance, with the path of its line and the strategies that run on it."""
    running = running_on([instrument.pk for instrument in rows])
    return [
        (glance, spark([float(close) for close in glance.closes]), running.get(glance.instrument.pk, []))
        for glance in glances(rows, now)
    ]


@require_safe
@member
def instrument(request: MemberRequest, key: int) -> HttpResponse:
    """One instrument: candles of a timeframe, the tenant's entries and exits on them, and what would end its open positions."""
    found = Instrument.objects.filter(pk=key).select_related("feed__source").first()
    if found is None:
        raise Http404("There is no such instrument.")
    context = {
        "section": "instruments",
        "regions": REGIONS,
        "instrument": found,
        "followed": followed(found),
        "book": book_of(found) if followed(found) else None,
        "running": running_on([key]).get(key, []),
        **shown(
            found, request.GET, zone_of(request.user.time_zone), present(), chosen_now(request.GET.getlist("with"))
        ),
    }
    return render(request, "markets/instrument.html", context)
