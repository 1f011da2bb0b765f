"""Whether what was due was decided in time: what an engine must be able to say before it tells anybody outside that all is well."""

from __future__ import annotations

from datetime import datetime, timedelta

from signalist.domain.timeframes import timeframe
from signalist.strategies.models import RunStatus, Schedule, Signal, StrategyRun
from signalist.strategies.run import LOOK_BACK
from signalist.trading.models import Execution, ExecutionStatus

GRACE = timedelta(seconds=10)
"""So long after its boundary a candle may take to be there, to be run on and to be decided."""


def undecided(now: datetime) -> str:
    """What was due by `now` and was not decided in time, in a sentence; "" where all was. Three queries.

    Of each schedule it is the last boundary that counts, as long as `run` would still look at its candle: after an outage the next
    candle that is decided in time ends the silence. Needs the door across tenants.
    """
    limit = now - GRACE
    if (left := _not_run(now, limit)) is not None:
        schedule, close = left
        return f"{schedule.version.strategy.slug} has not been run on the {schedule.timeframe} candle of {close:%H:%M:%S} UTC"
    if Signal.objects.filter(fanned_out_at__isnull=True, emitted_at__lt=limit).exists():
        return "a signal has not been fanned out"
    # An exit may wait for the end of a halt.
    entries = Execution.objects.filter(kind__in=["LONG", "SHORT"], signal__isnull=False)
    if entries.filter(status=ExecutionStatus.PENDING, deadline__lt=limit).exists():
        return "an entry has not been decided by its deadline"
    return ""


def _not_run(now: datetime, limit: datetime) -> tuple[Schedule, datetime] | None:
    running = Schedule.objects.filter(is_active=True, version__strategy__is_active=True, instrument__is_active=True)
    due: dict[int, tuple[Schedule, datetime]] = {}
    for schedule in running.select_related("version__strategy").order_by("pk"):
        close = timeframe(schedule.timeframe).last_close(limit)
        if now - close < LOOK_BACK and schedule.version.created_at < close:
            due[schedule.pk] = schedule, close
    if not due:
        return None
    done = StrategyRun.objects.filter(schedule_id__in=sorted(due), candle_close__gte=min(c for _, c in due.values()))
    done = done.exclude(status__in=[RunStatus.CLAIMED, RunStatus.SKIPPED])
    for schedule_id, close in done.values_list("schedule_id", "candle_close"):
        if schedule_id in due and close >= due[schedule_id][1]:
            del due[schedule_id]
    return next(iter(due.values()), None)
