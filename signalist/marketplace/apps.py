"""The marketplace's app."""

from __future__ import annotations

from django.apps import AppConfig


class MarketplaceConfig(AppConfig):
    name = "signalist.marketplace"
