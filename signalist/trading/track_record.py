"""The public record of signals: folds closed trades into `SignalRecord`, and recomputes it for `rebuild`. Nothing in it tells whose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.money import ZERO, settle
from signalist.strategies.models import Signal
from signalist.trading.models import Execution, Position, SignalRecord, Trade

SUMS = ("trades", "wins", "with_stop", "return_total", "r_total", "slippage_total", "delay_ms_total")
_MILLISECOND = timedelta(milliseconds=1)
_UPSERT = "ON CONFLICT (signal_id, is_paper) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in (*SUMS, "last_closed_at")
)

Key = tuple[int, bool]
"""Signal and whether on paper."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A closed trade as the record counts it: amounts in one currency, `first_fill` of the entry."""

    quantity: Decimal
    entry_price: Decimal
    net: Decimal
    first_fill: datetime
    closed_at: datetime


def counted(trades: Sequence[Trade], accounts: Mapping[int, Account]) -> fast.Insert:
    """The records of the signals of `trades`, which nobody has counted yet, with them; written in this transaction, accounts locked.

    The signals are locked too: engines that count trades of different accounts may meet at one signal.
    """
    positions = {p.pk: p for p in fast.select_ids(Position, sorted(t.position_id for t in trades))}
    ids = {position.entry_execution_id for position in positions.values()}
    executions = {e.pk: e for e in fast.select_ids(Execution, sorted(ids), "signal_id IS NOT NULL")}
    signal_ids = sorted({e.signal_id for e in executions.values() if e.signal_id is not None})
    signals = {s.pk: s for s in fast.select_ids(Signal, signal_ids, lock="update")}
    records = {(r.signal_id, r.is_paper): r for r in fast.select_ids(SignalRecord, sorted(signals), column="signal_id")}
    for trade in trades:
        position = positions[trade.position_id]
        execution = executions.get(position.entry_execution_id)
        if execution is not None and execution.signal_id is not None:
            outcome = Outcome(trade.quantity, trade.entry_price, trade.net, position.opened_at, trade.closed_at)
            on_paper = accounts[trade.account_id].is_paper
            _add(records, signals[execution.signal_id], on_paper, execution, outcome)
    for record in records.values():
        record.pk = None
    return fast.Insert([records[key] for key in sorted(records)], _UPSERT)


def recomputed(outcomes: Mapping[int, Outcome]) -> Iterator[tuple[SignalRecord | None, SignalRecord | None]]:
    """Every record as (stored, as the counted trades make it); either may be missing. `outcomes`: of the counted trades, by trade."""
    records: dict[Key, SignalRecord] = {}
    counted = Trade.objects.filter(measured=True).select_related("account", "position__entry_execution__signal")
    for trade in counted.order_by("pk").iterator():
        execution = trade.position.entry_execution
        if execution.signal is not None:
            _add(records, execution.signal, trade.account.is_paper, execution, outcomes[trade.pk])
    for stored in SignalRecord.objects.order_by("pk").iterator():
        yield stored, records.pop((stored.signal_id, stored.is_paper), None)
    for key in sorted(records):
        yield None, records[key]


def _add(
    records: dict[Key, SignalRecord], signal: Signal, on_paper: bool, execution: Execution, outcome: Outcome
) -> None:
    """Add one trade. A decision from before the capital was kept with it is no part of the record."""
    if execution.capital is None or execution.price is None:
        return
    record = records.get((signal.pk, on_paper))
    if record is None:
        record = SignalRecord(signal_id=signal.pk, schedule_id=signal.schedule_id, is_paper=on_paper)
        record.last_closed_at = outcome.closed_at
        records[signal.pk, on_paper] = record
    for name, value in _share(execution, signal, outcome).items():
        setattr(record, name, getattr(record, name) + value)
    record.last_closed_at = max(record.last_closed_at, outcome.closed_at)


def _share(execution: Execution, signal: Signal, outcome: Outcome) -> dict[str, Any]:
    """What one trade adds to each sum."""
    assert execution.capital is not None and execution.price is not None
    risk = ZERO if execution.stop is None else abs(execution.price - execution.stop) * outcome.quantity
    paid = (outcome.entry_price / execution.price - 1) * execution.signal_kind.direction.sign
    return {
        "trades": 1,
        "wins": int(outcome.net > 0),
        "with_stop": int(risk > 0),
        "return_total": settle(outcome.net / execution.capital),
        "r_total": settle(outcome.net / risk) if risk > 0 else ZERO,
        "slippage_total": settle(paid),
        "delay_ms_total": (outcome.first_fill - signal.candle_close) // _MILLISECOND,
    }
