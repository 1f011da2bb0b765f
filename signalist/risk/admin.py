"""Staff's view of the kill switch, only to read: it is thrown by `manage.py kill`, which works with the web process dead."""

from __future__ import annotations

from django.contrib import admin

from signalist.display.admin import ReadOnly
from signalist.risk.models import Missed, SharedSwitch, SharedSwitchChange, TenantSwitch, TenantSwitchChange


@admin.register(SharedSwitch, TenantSwitch)
class SwitchAdmin(ReadOnly):
    list_display = ["layer", "state", "reason", "who", "at"]
    list_filter = ["layer", "state"]


@admin.register(SharedSwitchChange, TenantSwitchChange)
class ChangeAdmin(ReadOnly):
    list_display = ["at", "layer", "before", "state", "reason", "who"]
    list_filter = ["layer", "state"]


@admin.register(Missed)
class MissedAdmin(ReadOnly):
    list_display = ["at", "tenant", "choice", "exit_at", "closed", "asked"]
    list_filter = ["choice", "closed", "asked"]
    list_select_related = ["tenant"]
