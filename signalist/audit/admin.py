"""Staff's view of the whole log: every tenant's lines and those of none, with filters and a CSV file."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from signalist.audit.models import Entry
from signalist.audit.pages import MOST, csv_of, shown
from signalist.audit.selectors import AREAS, lines
from signalist.audit.writing import record
from signalist.display.admin import ReadOnly


class AreaFilter(admin.SimpleListFilter):
    title, parameter_name = "area", "area"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(area, words) for area, words in AREAS.items() if area]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action__startswith=f"{self.value()}.") if self.value() else queryset


@admin.register(Entry)
class EntryAdmin(ReadOnly):
    list_display = ["at", "action", "result", "target", "tenant_id", "who", "correlation_id"]
    list_filter = [AreaFilter, "result", "at"]
    search_fields = ["target", "correlation_id", "subject", "session"]
    ordering = ["-id"]
    actions = ["export"]
    fields = [
        "at", "action", "result", "target", "details", "tenant_id", "who", "address", "agent", "session", "correlation_id",
    ]  # fmt: skip
    readonly_fields = ["who", "address", "agent"]

    @admin.display(description="who")
    def who(self, entry: Entry) -> str:
        return shown([entry])[0][1]

    @admin.display(description="address")
    def address(self, entry: Entry) -> str:
        return lines([entry])[0].address

    @admin.display(description="program")
    def agent(self, entry: Entry) -> str:
        return lines([entry])[0].agent

    @admin.action(description="Export the chosen lines as CSV", permissions=["view"])
    def export(self, request: HttpRequest, chosen: QuerySet[Entry]) -> HttpResponse:
        rows = list(chosen.order_by("-id")[:MOST])
        record("audit.exported", tenant_id=None, user_id=request.user.pk, details={"lines": len(rows), "staff": True})
        return csv_of(shown(rows), "audit-log.csv")
