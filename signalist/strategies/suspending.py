"""Takes strategies that hang off the schedule: one that never answers keeps an engine's threads from all others."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from signalist.events.outbox import Fact
from signalist.sandbox.outcomes import FailureKind
from signalist.strategies.house import is_house
from signalist.strategies.models import RunStatus, Schedule, StrategyRun
from signalist.strategies.selectors import forget_schedules

IN_A_ROW = 3
WORDS = f"It is run no more, because it did not answer in time {IN_A_ROW} times in a row."


def suspended(run: StrategyRun, now: datetime) -> list[Fact]:
    """Suspend the schedule of `run`, which has timed out just now, where those before it did too; in the transaction that says so.

    Returns what is to be told. The house's own code is left alone: it is known to answer, and a slow machine would take all of it away.
    """
    if is_house(run.schedule.version.source):
        return []
    made = StrategyRun.objects.filter(schedule=run.schedule_id, finished_at__isnull=False)
    newest = made.exclude(status=RunStatus.SKIPPED).order_by("-candle_close").values_list("error_kind", flat=True)
    if list(newest[:IN_A_ROW]) != [FailureKind.TIMED_OUT.value] * IN_A_ROW:
        return []
    if not Schedule.objects.filter(pk=run.schedule_id, is_active=True).update(is_active=False):
        return []
    transaction.on_commit(forget_schedules)
    payload = {"schedule": run.schedule_id, "candle": run.candle_close.isoformat(), "message": WORDS}
    return [Fact("strategy_suspended", None, now, payload)]
