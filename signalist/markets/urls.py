"""Addresses of the markets."""

from __future__ import annotations

from django.urls import path

from signalist.markets import pages
from signalist.markets.pages.depth import depth
from signalist.markets.pages.feeds import feeds
from signalist.markets.pages.files import candles_csv

urlpatterns = [
    path("markets/", pages.instruments, name="instruments"),
    path("markets/feeds/", feeds, name="feeds"),
    path("markets/<int:key>/candles.csv", candles_csv, name="candles_csv"),
    path("markets/<int:key>/depth/", depth, name="depth"),
    path("markets/<int:key>/", pages.instrument, name="instrument"),
]
