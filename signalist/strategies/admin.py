"""Staff's view of strategies and their runs: to read, since a version and a run are never changed."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from signalist.strategies.models import Strategy, StrategyRun, StrategyVersion


class ReadOnly(admin.ModelAdmin):
    """Rows that nobody edits by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


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
