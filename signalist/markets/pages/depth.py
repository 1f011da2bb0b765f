"""The order book of one instrument, on its page: asked for by a button, and then looked at again every two seconds."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from signalist.clock import utc_now
from signalist.markets import depth_books
from signalist.markets.models import Instrument
from tenants.access import MemberRequest, member

SHOWN = 10
NOTHING = (None, None)


@require_http_methods(["GET", "HEAD", "POST"])
@member
def depth(request: MemberRequest, key: int) -> HttpResponse:
    """The panel alone for a swap; a form without a script comes back to the page."""
    found = Instrument.objects.filter(pk=key).first()
    if found is None:
        raise Http404("There is no such instrument.")
    if request.method == "POST":
        depth_books.want(found.pk, utc_now())
    if not request.htmx:
        return redirect(reverse("instrument", args=[key]) + "#depth")
    return render(request, "markets/depth.html", {"instrument": found, "book": book_of(found)})


def book_of(instrument: Instrument) -> dict[str, Any]:
    """What the panel shows: the book's time and spread, and its best levels side by side, with how much lies up to each."""
    now = utc_now()
    standing = depth_books.standing(instrument.pk, now)
    rows: list[dict[str, Any]] = []
    if standing.depth is not None:
        bids, asks = standing.depth.bids[:SHOWN], standing.depth.asks[:SHOWN]
        rows = [
            {"bid": bids[n] if n < len(bids) else NOTHING, "ask": asks[n] if n < len(asks) else NOTHING}
            for n in range(max(len(bids), len(asks)))
        ]
    return {
        "at": standing.at,
        "age": None if standing.at is None else now - standing.at,
        "is_wanted": standing.is_wanted,
        "is_old": standing.at is not None and (now - standing.at).total_seconds() > depth_books.OLD,
        "depth": standing.depth,
        "rows": rows,
    }
