"""Reads of what runs where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from signalist.db.kept import Kept
from signalist.strategies.models import Schedule

_schedules = Kept(
    lambda ids: Schedule.objects.filter(pk__in=ids).select_related("version__strategy", "instrument"),
)


def schedules(ids: Iterable[int]) -> Mapping[int, Schedule]:
    """Schedules by id with their version and instrument, kept for a minute or until `forget_schedules`."""
    return _schedules.of(ids)


def forget_schedules() -> None:
    """Read schedules anew from now on."""
    _schedules.forget()
