"""Reads of what runs where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from signalist.db import fast
from signalist.db.kept import Kept
from signalist.strategies.models import Schedule, Signal

_schedules = Kept(
    lambda ids: Schedule.objects.filter(pk__in=ids).select_related("version__strategy", "instrument"),
)
_signals = Kept(lambda ids: fast.select_ids(Signal, ids))


def schedules(ids: Iterable[int]) -> Mapping[int, Schedule]:
    """Schedules by id with their version and instrument, kept for a minute or until `forget_schedules`."""
    return _schedules.of(ids)


def signals(ids: Iterable[int]) -> Mapping[int, Signal]:
    """Signals by id with their schedules, kept as these are; but for when it was fanned out, a signal never changes."""
    wanted = set(ids)
    found = _signals.of(wanted)
    known = schedules({found[key].schedule_id for key in wanted})
    for key in wanted:
        fast.relate(found[key], "schedule", known[found[key].schedule_id])
    return found


def forget_schedules() -> None:
    """Read schedules, and their signals, anew from now on."""
    _schedules.forget()
    _signals.forget()
