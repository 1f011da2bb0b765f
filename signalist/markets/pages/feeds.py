"""The page of feeds: where prices and candles come from, how each feed stands, and what was wrong with it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from signalist.markets.fragments import feed_rows
from tenants.access import MemberRequest, member


@require_safe
@member
def feeds(request: MemberRequest) -> HttpResponse:
    """How the feeds stand."""
    return render(request, "markets/feeds.html", {"section": "instruments", "regions": ("feed-rows",), **feed_rows()})
