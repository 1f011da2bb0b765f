"""Reads for the page on which people see what happened at their doors."""

from __future__ import annotations

from signalist.security.models import Incident, SecurityEvent
from signalist.security.visitors import agent_words

SHOWN = 50


def events_of(user_id: int, limit: int = SHOWN) -> list[SecurityEvent]:
    """A person's newest events, `program` in words on each."""
    found = list(SecurityEvent.objects.filter(user_id=user_id).order_by("-at", "-pk")[:limit])
    for event in found:
        event.program = agent_words(event.agent)  # type: ignore[attr-defined]
    return found


def incidents_of(user_id: int) -> list[Incident]:
    """A person's incidents, newest first."""
    return list(Incident.objects.filter(user_id=user_id).select_related("resolved_by").order_by("-at", "-pk")[:20])
