"""What is done in the background: versions are put through the gate; runs that said nothing are kept for thirty days."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from signalist.clock import utc_now
from signalist.db import retention
from signalist.strategies.actions import checked, release_stale, take_to_gate
from signalist.strategies.gate.values import CannotJudge
from signalist.strategies.gate_reports import examined
from signalist.strategies.models import RunStatus, Schedule, Signal, StrategyRun

KEPT = timedelta(days=30)
QUIET = (RunStatus.NO_SIGNAL, RunStatus.SKIPPED)


def check_version(version_id: int) -> None:
    """Put a version that was handed in through the gate. One that is not waiting for it, or that another worker has there, is left alone,
    so it may be asked for twice."""
    version = take_to_gate(version_id, utc_now())
    if version is None:
        return
    try:
        report = examined(version, utc_now())
    except CannotJudge as reason:
        checked(version, utc_now(), passed=False, note=f"The gate could not judge it: {reason}")
        return
    failed = ", ".join(check["name"] for check in report.checks if not check["passed"])
    checked(version, utc_now(), passed=report.passed, note=f"Refused by the gate: {failed}." if failed else "")


def release_versions() -> int:
    """Give versions back to their authors that a worker has not brought through the gate; returns how many."""
    return release_stale(utc_now())


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
