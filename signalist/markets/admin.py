"""Staff's view of instruments and what is known of their market. Nothing here has a tenant."""

from __future__ import annotations

from django.contrib import admin

from signalist.markets.models import AssetPair, FxRate, Instrument


@admin.register(AssetPair)
class AssetPairAdmin(admin.ModelAdmin):
    search_fields = ["code"]


@admin.register(Instrument)
class InstrumentAdmin(admin.ModelAdmin):
    list_display = ["symbol", "venue", "kind", "quote", "tick", "lot", "is_active"]
    list_filter = ["venue", "kind", "is_active"]
    search_fields = ["symbol"]
    list_select_related = ["pair"]


@admin.register(FxRate)
class FxRateAdmin(admin.ModelAdmin):
    list_display = ["base", "quote", "rate", "at"]
    list_filter = ["base", "quote"]
