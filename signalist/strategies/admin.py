"""Staff's view of strategies and their runs: to read, since a version and a run are never changed."""

from __future__ import annotations

from django.contrib import admin

from signalist.display.admin import ReadOnly
from signalist.strategies.models import Strategy, StrategyRun, StrategyVersion


@admin.register(Strategy)
class StrategyAdmin(admin.ModelAdmin):
    list_display = ["slug", "name", "is_active", "created_at"]
    search_fields = ["slug", "name"]
    fields = ["slug", "name", "description", "is_active"]


@admin.register(StrategyVersion)
class StrategyVersionAdmin(ReadOnly):
    list_display = ["strategy", "number", "history", "created_at"]
    list_select_related = ["strategy"]


@admin.register(StrategyRun)
class StrategyRunAdmin(ReadOnly):
    list_display = ["candle_close", "schedule_id", "status", "error_kind", "duration_ms"]
    list_filter = ["status", "error_kind"]
