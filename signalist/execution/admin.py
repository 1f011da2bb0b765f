"""Staff's view of the engines."""

from __future__ import annotations

from django.contrib import admin

from signalist.display.admin import ReadOnly
from signalist.execution.models import EngineProcess


@admin.register(EngineProcess)
class EngineProcessAdmin(ReadOnly):
    list_display = ["pk", "pid", "clock", "feeds", "started_at", "seen_at", "ended_at"]
