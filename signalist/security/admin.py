"""Staff's view of security events, incidents and bans: incidents are resolved here, and a ban can be lifted."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.display.admin import ReadOnly
from signalist.security.incidents import resolve
from signalist.security.models import Ban, Incident, SecurityEvent
from tenants.models import User


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnly):
    list_display = ["at", "kind", "status", "user", "address", "place", "risk_score", "reason"]
    list_filter = ["kind", "status", "at"]
    list_select_related = ["user"]
    search_fields = ["user__email", "address"]
    ordering = ["-id"]


@admin.register(Incident)
class IncidentAdmin(ReadOnly):
    list_display = ["at", "severity", "kind", "user", "response", "description", "resolved_at", "resolved_by"]
    list_filter = ["severity", "kind", "response", ("resolved_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user", "resolved_by"]
    search_fields = ["user__email", "address"]
    ordering = ["-id"]
    actions = ["end"]

    @admin.action(description="Resolve: what was held back is let go", permissions=["resolve"])
    def end(self, request: HttpRequest, chosen: QuerySet[Incident]) -> None:
        assert isinstance(request.user, User)
        ended = sum(resolve(incident, request.user, "resolved by staff", utc_now()) for incident in chosen)
        messages.success(request, f"{ended} resolved.")

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("security.change_incident")


@admin.register(Ban)
class BanAdmin(ReadOnly):
    list_display = ["address", "until", "times", "at"]
    search_fields = ["address"]
    actions = ["lift"]

    @admin.action(description="Lift", permissions=["lift"])
    def lift(self, request: HttpRequest, chosen: QuerySet[Ban]) -> None:
        now = utc_now()
        lifted = chosen.filter(until__gt=now).update(until=now)
        record("ban.lifted", tenant_id=None, user_id=request.user.pk, details={"bans": lifted})
        messages.success(request, f"{lifted} lifted.")

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("security.change_ban")
