"""Reads of what runs where."""

from __future__ import annotations

from signalist.strategies.models import Schedule

_known_schedules: dict[int, Schedule] = {}


def schedules(ids: set[int]) -> dict[int, Schedule]:
    """Schedules with their version and instrument. Each is read once and kept until `forget_schedules`."""
    missing = ids - _known_schedules.keys()
    if missing:
        found = Schedule.objects.filter(pk__in=missing).select_related("version__strategy", "instrument")
        _known_schedules.update({schedule.pk: schedule for schedule in found})
    return _known_schedules


def forget_schedules() -> None:
    """Read schedules anew from now on."""
    _known_schedules.clear()
