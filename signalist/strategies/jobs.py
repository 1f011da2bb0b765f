"""What is done to strategy runs from time to time: those that said nothing are kept for thirty days."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from signalist.db import retention
from signalist.strategies.models import RunStatus, Schedule, Signal, StrategyRun

KEPT = timedelta(days=30)
QUIET = (RunStatus.NO_SIGNAL, RunStatus.SKIPPED)


def retire_runs(now: datetime) -> int:
    """Delete the runs without a signal of candles that closed more than thirty days before the market time `now`; returns how many.

    Failed runs stay: they are what an author asks about. No candle that old is run on again.
    """
    deleted = 0
    signals = Signal.objects.filter(run=OuterRef("pk"))
    for key in Schedule.objects.order_by("pk").values_list("pk", flat=True):
        old = StrategyRun.objects.filter(~Exists(signals), schedule=key, candle_close__lt=now - KEPT, status__in=QUIET)
        deleted += retention.delete(old.order_by("candle_close"))
    return deleted
