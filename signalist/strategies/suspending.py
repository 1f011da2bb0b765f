"""Takes strategies that hang off the schedule, where one keeps an engine's threads from all others, and puts them on it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from signalist.audit.writing import record
from signalist.events.outbox import Fact, emit
from signalist.sandbox.outcomes import FailureKind
from signalist.strategies.house import is_house
from signalist.strategies.models import RunStatus, Schedule, StrategyRun, StrategyVersion
from signalist.strategies.selectors import forget_schedules
from tenants.models import User

IN_A_ROW = 3
WORDS = f"It is run no more, because it did not answer in time {IN_A_ROW} times in a row."


@dataclass(frozen=True, slots=True)
class Suspension:
    """A schedule that was taken off, and the newest run that failed there; None where it is not kept any more."""

    schedule: Schedule
    failure: StrategyRun | None


def suspended(run: StrategyRun, now: datetime) -> list[Fact]:
    """Suspend the schedule of `run`, which has timed out just now, where those before it did too; in the transaction that says so.

    Returns what is to be told. The house's own code is left alone: it is known to answer, and a slow machine would take all of it away.
    """
    if is_house(run.schedule.version.source):
        return []
    made = StrategyRun.objects.filter(schedule=run.schedule_id, finished_at__isnull=False)
    made = made.filter(pk__gt=Schedule.objects.filter(pk=run.schedule_id).values("forgiven_run"))
    newest = made.exclude(status=RunStatus.SKIPPED).order_by("-candle_close").values_list("error_kind", flat=True)
    if list(newest[:IN_A_ROW]) != [FailureKind.TIMED_OUT.value] * IN_A_ROW:
        return []
    if not Schedule.objects.filter(pk=run.schedule_id, is_active=True).update(is_active=False, suspended_at=now):
        return []
    transaction.on_commit(forget_schedules)
    payload = {"schedule": run.schedule_id, "candle": run.candle_close.isoformat(), "message": WORDS}
    return [Fact("strategy_suspended", None, now, payload)]


def suspensions(version: StrategyVersion) -> Sequence[Suspension]:
    """Where a version is suspended. One query, and one for each place where it is."""
    off = Schedule.objects.filter(version=version, is_active=False, suspended_at__isnull=False)
    failed = StrategyRun.objects.filter(status=RunStatus.FAILED).order_by("-candle_close")
    return [
        Suspension(schedule, failed.filter(schedule=schedule).first())
        for schedule in off.select_related("instrument").order_by("pk")
    ]


def resume(version: StrategyVersion, by: User, tenant_id: int, now: datetime) -> int:
    """Put a version on all schedules again that it was taken off; returns how many those were.

    What it failed before is forgiven: three runs in a row that do not answer suspend it again. Audited, and told as an event
    in the workspace `tenant_id` from which `by` did it.
    """
    with transaction.atomic():
        off = Schedule.objects.select_for_update(no_key=True).filter(
            version=version, is_active=False, suspended_at__isnull=False
        )
        keys = list(off.order_by("pk").values_list("pk", flat=True))
        for key in keys:
            newest = StrategyRun.objects.filter(schedule=key).aggregate(newest=Max("pk"))["newest"] or 0
            Schedule.objects.filter(pk=key).update(is_active=True, suspended_at=None, forgiven_run=newest)
        if keys:
            target, told = f"{version.strategy.slug} v{version.number}", {"schedules": keys}
            record("strategy.version_resumed", tenant_id=tenant_id, user_id=by.pk, target=target, details=told)
            payload = {"version": version.number, "strategy": version.strategy.slug, "by": str(by.public_id)}
            emit([Fact("strategy_resumed", tenant_id, now, {**payload, "schedule": key}) for key in keys])
            transaction.on_commit(forget_schedules)
    return len(keys)
