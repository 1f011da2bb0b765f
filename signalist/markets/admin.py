"""Staff's view of instruments and what is known of their market, which has no tenant, and of who listens to it."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from signalist.clock import utc_now
from signalist.display.admin import ReadOnly
from signalist.markets.listings import ask_for
from signalist.markets.models import AssetPair, FxRate, Instrument, InstrumentChange, VenueListing
from signalist.markets.setting_admin import MarketSettingAdmin
from signalist.markets.stream_models import StreamSession

__all__ = ["MarketSettingAdmin"]


@admin.register(AssetPair)
class AssetPairAdmin(admin.ModelAdmin):
    search_fields = ["code"]


@admin.register(Instrument)
class InstrumentAdmin(admin.ModelAdmin):
    list_display = [
        "symbol",
        "venue",
        "kind",
        "quote",
        "tick",
        "lot",
        "taker_fee",
        "trading",
        "trading_since",
        "is_active",
    ]
    list_filter = ["venue", "kind", "trading", "is_active"]
    search_fields = ["symbol"]
    list_select_related = ["pair"]


@admin.register(FxRate)
class FxRateAdmin(admin.ModelAdmin):
    list_display = ["base", "quote", "rate", "at"]
    list_filter = ["base", "quote"]


@admin.register(VenueListing)
class VenueListingAdmin(ReadOnly):
    """What venues list; staff may have a list heard anew."""

    list_display = ["code", "listed", "heard_at", "tried_at", "asked_at", "problem"]
    actions = ["hear_now"]

    @admin.action(description="Have the list heard anew", permissions=["view"])
    def hear_now(self, request: HttpRequest, chosen: QuerySet[VenueListing]) -> None:
        codes = list(chosen.values_list("code", flat=True))
        for code in codes:
            ask_for(code, utc_now())
        self.message_user(
            request, f"{', '.join(codes)}: the engine that feeds from there asks within seconds.", messages.SUCCESS
        )


@admin.register(InstrumentChange)
class InstrumentChangeAdmin(ReadOnly):
    """What venues have changed of their markets."""

    list_display = ["instrument", "name", "before", "after", "at"]
    list_filter = ["name", "instrument__venue"]
    list_select_related = ["instrument"]
    search_fields = ["instrument__symbol"]


@admin.register(StreamSession)
class StreamSessionAdmin(ReadOnly):
    """Sockets of clients, those that are open among them; one whose process was killed stays open here until its row goes."""

    list_display = [
        "opened_at",
        "ended_at",
        "user",
        "tenant",
        "client",
        "listens_to",
        "changes",
        "address",
        "ended_with",
    ]
    list_filter = [("ended_at", admin.EmptyFieldListFilter), "ended_with"]
    list_select_related = ["user", "tenant"]
    ordering = ["-opened_at"]
    search_fields = ["client", "user__email", "address"]

    @admin.display(description="listens to")
    def listens_to(self, row: StreamSession) -> str:
        prices = f"prices of {len(row.instruments)}" if row.instruments else ""
        return ", ".join([*row.regions, *([prices] if prices else [])])
