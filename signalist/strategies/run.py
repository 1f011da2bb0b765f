"""Stage `run`: every closed candle runs every strategy that is due on it, once.

The unique row of a StrategyRun, claimed before the strategy runs and never released, decides who runs it. Runs belong to
nobody: there is no tenant here. Lateness is measured at the claim; a candle that is claimed too late for its timeframe is skipped, and
after an outage old candles are not caught up. A synthetic candle, which nobody traded in, runs nothing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import InterfaceError, OperationalError

from signalist.db import fast
from signalist.db.units import statement_unit, unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.lateness import RUN_WITHIN, entry_deadline, made_by
from signalist.domain.money import QUANTUM
from signalist.domain.orders import NAMESPACE
from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow
from signalist.domain.timeframes import interval_key, timeframe
from signalist.events.outbox import Fact, emit
from signalist.logs import logger
from signalist.sandbox.outcomes import Failed, FailureKind, Ran
from signalist.strategies.models import RunStatus, Signal, StrategyRun
from signalist.strategies.selectors import schedules
from signalist.strategies.suspending import suspended

log = logger(__name__)

LOOK_BACK = timedelta(minutes=10)

_LEFT = "The engine that had claimed it was gone, and it was too old when another one came; old candles are not traded."
# The runs are bounded too: a planner that has not seen yet how many there are reads all of a schedule's for every candle, not one.
_LATE = "CASE s.timeframe " + " ".join(f"WHEN '{code}' THEN {{late_{code}}}" for code in RUN_WITHIN) + " END"
_CLAIM = """
INSERT INTO strategies_strategyrun
    (schedule_id, candle_close, status, engine, claimed_at, finished_at, error_kind, error)
SELECT id, close_time,
    CASE WHEN is_late THEN 'SKIPPED' ELSE 'CLAIMED' END, {engine}, {now},
    CASE WHEN is_late THEN {now} ELSE NULL END,
    CASE WHEN is_late THEN 'late' ELSE '' END,
    CASE WHEN is_late THEN 'The candle was claimed too long after its close; old candles are not traded.' ELSE '' END
FROM (
    SELECT s.id, c.close_time, c.close_time < <late> AS is_late
    FROM strategies_schedule s
    JOIN markets_candle c ON c.instrument_id = s.instrument_id AND c.timeframe = s.timeframe
    LEFT JOIN strategies_strategyrun r
        ON r.schedule_id = s.id AND r.candle_close = c.close_time AND r.candle_close > {oldest}
    WHERE s.is_active AND NOT c.is_synthetic AND c.close_time > {oldest} AND c.close_time <= {now} AND r.id IS NULL
) due
WHERE TRUE
ORDER BY close_time, id
ON CONFLICT DO NOTHING
RETURNING id, schedule_id, candle_close, status
""".replace("<late>", _LATE)
_CLAIM_NAMES = tuple(re.findall(r"\{(\w+)\}", _CLAIM))
_CLAIM_MARKED = re.sub(r"\{\w+\}", "%s", _CLAIM)


def claim(engine: uuid.UUID, now: datetime) -> Sequence[StrategyRun]:
    """Claim what is due, in one statement; returns the runs that this engine won and has to make."""
    with statement_unit("run.claim"):
        won = fast.tuples(*_claim_statement(engine, now))
    runs = [
        fast.new(
            StrategyRun,
            id=key,
            schedule_id=schedule_id,
            candle_close=fast.utc(close),
            engine=engine,
            claimed_at=now,
        )
        for key, schedule_id, close, status in won
        if status == RunStatus.CLAIMED
    ]
    known = schedules({run.schedule_id for run in runs})
    for run in runs:
        run.schedule = known[run.schedule_id]
    return sorted(runs, key=lambda run: (run.candle_close, run.schedule_id))


def _claim_statement(engine: uuid.UUID, now: datetime) -> tuple[str, list[object]]:
    """The statement and its parameters, as this database wants them."""

    def moment(at: datetime) -> object:
        return fast.prepared(StrategyRun, "claimed_at", at)

    values: dict[str, object] = {
        **{f"late_{code}": moment(now - within) for code, within in RUN_WITHIN.items()},
        "now": moment(now),
        "oldest": moment(now - LOOK_BACK),
        "engine": fast.prepared(StrategyRun, "engine", engine),
    }
    return _CLAIM_MARKED, [values[name] for name in _CLAIM_NAMES]


def take_over(engine: uuid.UUID, dead: Collection[uuid.UUID], now: datetime) -> Sequence[StrategyRun]:
    """Claim what engines that are no more had claimed and not finished; returns those runs. One that is too old for that by `now` is passed
    over instead: nothing old is traded, so its candle is a gap, about which every follower has chosen what is done."""
    with unit("run.take_over"):
        StrategyRun.objects.filter(status=RunStatus.CLAIMED, engine__in=dead).update(engine=engine)
        mine = StrategyRun.objects.filter(status=RunStatus.CLAIMED, engine=engine)
        found = mine.select_related("schedule__version__strategy", "schedule__instrument")
        runs = list(found.order_by("candle_close", "schedule_id"))
        old = [r for r in runs if engine not in dead and now > made_by(r.candle_close, timeframe(r.schedule.timeframe))]
        passed = {"status": RunStatus.SKIPPED, "finished_at": now, "error_kind": "late", "error": _LEFT}
        StrategyRun.objects.filter(pk__in=[run.pk for run in old], status=RunStatus.CLAIMED).update(**passed)
    return [run for run in runs if run not in old]


def finish(run: StrategyRun, outcome: Ran | Failed, reference: Decimal, now: datetime) -> int:
    """Write what the strategy answered; returns how many signals that made. A run that another engine took over is left to it.

    An answer that cannot be written is a failed run, and never the end of the engine, which would meet it again.
    """
    try:
        return _written(run, outcome, reference, now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the same is done once more
    except Exception as error:  # noqa: BLE001  # whatever a stranger's answer breaks, it breaks for this run alone
        log.warning("strategy_answer_not_written", run=run.pk, error=f"{type(error).__name__}: {error}")
        message = f"What the strategy said cannot be recorded: {type(error).__name__}."
        return _written(run, Failed(FailureKind.BAD_OUTPUT, message), reference, now)


def _written(run: StrategyRun, outcome: Ran | Failed, reference: Decimal, now: datetime) -> int:
    rows = outcome.rows if isinstance(outcome, Ran) else ()
    status = RunStatus.FAILED if isinstance(outcome, Failed) else RunStatus.SUCCESS if rows else RunStatus.NO_SIGNAL
    values: dict[str, object] = {"status": status, "finished_at": now}
    if isinstance(outcome, Ran):
        values["duration_ms"] = outcome.duration_ms
    else:
        values |= {"error_kind": outcome.kind.value, "error": outcome.message, "error_line": outcome.line}
    if status == RunStatus.NO_SIGNAL:
        with statement_unit("run.finish_quiet"):
            _finished(run, values)
        return 0
    with unit("run.finish"):
        if not _finished(run, values):
            return 0
        signals = [_signal(run, row, reference, now) for row in rows]
        _number(run, signals)
        fast.insert(signals, returning=True)
        told = [*map(_generated, signals)]
        if isinstance(outcome, Failed):
            told.append(_failed(run, outcome, now))
            told += suspended(run, now) if outcome.kind is FailureKind.TIMED_OUT else []
        emit(told)
        if signals:
            ring_on_commit("fan_out")
    return len(signals)


def _finished(run: StrategyRun, values: dict[str, object]) -> int:
    """Write the end of a claimed run; 0 when another engine has it."""
    setting = ", ".join(f'"{name}" = %s' for name in values)
    parameters = [fast.prepared(StrategyRun, name, value) for name, value in values.items()]
    mine = [run.pk, fast.prepared(StrategyRun, "engine", run.engine)]
    return fast.execute(
        f"UPDATE strategies_strategyrun SET {setting} WHERE id = %s AND status = 'CLAIMED' AND engine = %s",
        parameters + mine,
    )


def _signal(run: StrategyRun, row: SignalRow, reference: Decimal, now: datetime) -> Signal:
    schedule, close = run.schedule, run.candle_close
    spec = schedule.instrument.spec()
    version = schedule.version
    key = f"{version.strategy.slug}@{version.number}|{spec.name}|{interval_key(close, timeframe(schedule.timeframe))}|{row.kind}"

    def level(value: float | None) -> Decimal | None:
        return None if value is None else spec.price(Decimal(repr(float(value))))

    def part(value: float | None) -> Decimal | None:
        return None if value is None else Decimal(repr(float(value))).quantize(QUANTUM)

    return fast.new(
        Signal,
        public_id=uuid.uuid5(NAMESPACE, key),
        run=run,
        schedule=schedule,
        kind=SignalKind(row.kind).value,
        candle_close=close,
        reference_price=reference,
        stop=level(row.stop),
        target=level(row.target),
        strength=part(row.strength),
        confidence=part(row.confidence),
        emitted_at=now,
        deadline=entry_deadline(close, timeframe(schedule.timeframe)),
    )


def _number(run: StrategyRun, signals: Sequence[Signal]) -> None:
    """Count them on, under the schedule's lock; what is not committed leaves no gap."""
    if not signals:
        return
    counted = fast.tuples(
        "UPDATE strategies_schedule SET signals = signals + %s WHERE id = %s RETURNING signals",
        [len(signals), run.schedule_id],
    )
    first = counted[0][0] - len(signals) + 1
    for number, signal in enumerate(signals, first):
        signal.sequence = number


def _generated(signal: Signal) -> Fact:
    payload = {"signal": str(signal.public_id), "schedule": signal.schedule_id, "kind": signal.kind}
    payload |= {"sequence": signal.sequence}
    return Fact("signal_generated", None, signal.emitted_at, payload)


def _failed(run: StrategyRun, outcome: Failed, now: datetime) -> Fact:
    payload = {"schedule": run.schedule_id, "candle": run.candle_close.isoformat(), "kind": outcome.kind.value}
    return Fact("strategy_failed", None, now, payload | {"message": outcome.message, "line": outcome.line})
