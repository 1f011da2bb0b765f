"""Addresses of the markets."""

from __future__ import annotations

from django.urls import path

from signalist.markets import pages

urlpatterns = [
    path("markets/", pages.instruments, name="instruments"),
    path("markets/<int:key>/", pages.instrument, name="instrument"),
]
