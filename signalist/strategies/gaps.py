"""What was never decided: the boundaries of each schedule at which no strategy was run in time, found once and kept as rows.

A schedule's boundaries are a sequence without gaps by themselves (the closes of its timeframe), so a boundary without a run that was
claimed in time is a gap, whatever the reason: no engine, a candle that came too late or not at all. `Schedule.decided_until` says how far
that was looked at; it moves in the transaction that writes what was found, so nothing is found twice or passed over by a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
from django.db.models import QuerySet

from signalist.db import fast
from signalist.db.units import unit
from signalist.domain.candles import CandleArrays
from signalist.domain.lateness import TAKEN_OVER_WITHIN, run_within
from signalist.domain.strategies import SignalArrays
from signalist.domain.timeframes import Timeframe, timeframe
from signalist.events.outbox import Fact, emit
from signalist.markets.models import Candle
from signalist.sandbox.outcomes import Failed, RanWhole
from signalist.strategies.models import Gap, RunStatus, Schedule, StrategyRun

FILLED_WITHIN = timedelta(seconds=60)
"""So long the candles of a gap are waited for before it is judged by those that are there."""
MOST_JUDGED = 2000
"""Of a longer gap the newest candles are judged: what was missed before them is too old to matter to anybody."""


def find(now: datetime, *, stored_only: bool = False) -> int:
    """Write down the gaps since the last look; returns how many there were. `stored_only`: only boundaries whose candle is there count,
    for a market whose time jumps (a recording)."""
    with unit("gaps.find"):
        running = Schedule.objects.filter(is_active=True, version__strategy__is_active=True, instrument__is_active=True)
        gaps: list[Gap] = []
        looked: list[Schedule] = []
        for schedule in running.order_by("pk").select_for_update(no_key=True, of=("self",)):
            frame = timeframe(schedule.timeframe)
            until = _settled(schedule, frame, now)
            if schedule.decided_until is not None and until <= schedule.decided_until:
                continue
            if schedule.decided_until is not None:
                gaps += _gaps_of(schedule, frame, schedule.decided_until, until, now, stored_only)
            schedule.decided_until = until
            looked.append(schedule)
        fast.update(looked, ("decided_until",))
        fast.insert(gaps, conflict="ON CONFLICT DO NOTHING")
        emit([_told(gap, now) for gap in gaps])
    return len(gaps)


def _settled(schedule: Schedule, frame: Timeframe, now: datetime) -> datetime:
    """The last boundary whose run can neither be claimed nor taken over any more; none behind a run that is under way: its engine may be
    dead, and whoever comes after it passes over what is too old to be made."""
    until = frame.last_close(now - run_within(frame) - TAKEN_OVER_WITHIN)
    since = schedule.decided_until or until
    claimed = StrategyRun.objects.filter(schedule=schedule, candle_close__gt=since, candle_close__lte=until)
    first = claimed.filter(status=RunStatus.CLAIMED).order_by("candle_close").values_list("candle_close", flat=True)
    return min([until, *(close - frame.length for close in first[:1])])


def _gaps_of(
    schedule: Schedule, frame: Timeframe, after: datetime, until: datetime, now: datetime, stored_only: bool
) -> list[Gap]:
    """The gaps behind `after` up to `until`. A run that was made by who claimed it in time, or by its heir, is decided."""
    runs = StrategyRun.objects.filter(schedule=schedule, candle_close__gt=after, candle_close__lte=until)
    decided = runs.exclude(status=RunStatus.SKIPPED).order_by("candle_close").values_list("candle_close", flat=True)
    # Where nothing was traded there was nothing to decide.
    idle = Candle.objects.filter(instrument_id=schedule.instrument_id, timeframe=frame.code, is_synthetic=True)
    passed = idle.filter(close_time__gt=after, close_time__lte=until).values_list("close_time", flat=True)
    found = []
    for first, last in _between(frame, after, until, sorted({*decided, *passed})):
        gap = Gap(schedule=schedule, first_close=first, last_close=last, found_at=now)
        gap.candles = int((last - first) / frame.length) + 1
        if not stored_only:
            found.append(gap)
        elif closes := list(_candles(gap).order_by("close_time").values_list("close_time", flat=True)):
            gap.first_close, gap.last_close, gap.candles = closes[0], closes[-1], len(closes)
            found.append(gap)
    return found


def _between(
    frame: Timeframe, after: datetime, until: datetime, decided: Sequence[datetime]
) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of boundaries behind `after` up to `until` that are not among those `decided`, as (first, last)."""
    for done in [*decided, until + frame.length]:
        if done - after > frame.length:
            yield after + frame.length, done - frame.length
        after = done


def _candles(gap: Gap) -> QuerySet[Candle]:
    schedule = gap.schedule
    return Candle.objects.filter(
        instrument_id=schedule.instrument_id,
        timeframe=schedule.timeframe,
        close_time__gte=gap.first_close,
        close_time__lte=gap.last_close,
        is_synthetic=False,
    )


def _told(gap: Gap, now: datetime) -> Fact:
    payload: dict[str, str | int] = {"schedule": gap.schedule_id, "candles": gap.candles}
    payload |= {"from": gap.first_close.isoformat(), "to": gap.last_close.isoformat()}
    return Fact("candles_missed", None, now, payload)


# --- What the strategy would have said -----------------------------------------------------------


def to_judge(now: datetime) -> list[tuple[Gap, CandleArrays]]:
    """The gaps that can be judged, each with its candles and the history before them; the oldest first."""
    found = []
    waiting = Gap.objects.filter(judged_at__isnull=True).order_by("found_at", "pk")
    for gap in waiting.select_related("schedule__version__strategy", "schedule__instrument"):
        arrays = _shown(gap)
        is_there = len(arrays) > 0 and int(arrays.time[-1]) == int(gap.last_close.timestamp())
        if is_there or now - gap.found_at >= FILLED_WITHIN:
            found.append((gap, arrays))
    return found


def _shown(gap: Gap) -> CandleArrays:
    schedule = gap.schedule
    bars = min(gap.candles, MOST_JUDGED) + schedule.version.history
    stored = fast.select(
        Candle,
        "instrument_id = %s AND timeframe = %s AND close_time <= %s ORDER BY close_time DESC LIMIT %s",
        [schedule.instrument_id, schedule.timeframe, fast.prepared(Candle, "close_time", gap.last_close), bars],
    )
    return CandleArrays.of([candle.value() for candle in reversed(stored)])


def judge(gap: Gap, arrays: CandleArrays, answer: RanWhole | Failed, now: datetime) -> None:
    """Note what the strategy would have said in the gap."""
    gap.judged_at = now
    if isinstance(answer, Failed):
        gap.problem = f"the strategy could not be asked: {answer.message}"[:200]
    else:
        _note(gap, arrays, answer.signals, _idle(gap))
    with unit("gaps.judge"):
        fast.update([gap], ("judged_at", "stored", "entries", "exit_long_at", "exit_short_at", "problem"))


def _idle(gap: Gap) -> list[int]:
    """The closes (epoch seconds) at which nothing was traded: nobody is asked what they would have said there."""
    mine = {"instrument_id": gap.schedule.instrument_id, "timeframe": gap.schedule.timeframe, "is_synthetic": True}
    idle = Candle.objects.filter(**mine, close_time__gte=gap.first_close, close_time__lte=gap.last_close)
    return [int(close.timestamp()) for close in idle.values_list("close_time", flat=True)]


def _note(gap: Gap, arrays: CandleArrays, said: SignalArrays, idle: Sequence[int]) -> None:
    inside = (arrays.time >= int(gap.first_close.timestamp())) & ~np.isin(arrays.time, idle)
    gap.stored = int(inside.sum())
    gap.entries = int(((said.enter_long | said.enter_short) & inside).sum())
    for name, flags in (("exit_long_at", said.exit_long), ("exit_short_at", said.exit_short)):
        times = arrays.time[flags & inside]
        if len(times):
            moment = datetime.fromtimestamp(int(times[-1]), gap.last_close.tzinfo)
            setattr(gap, name, moment)
