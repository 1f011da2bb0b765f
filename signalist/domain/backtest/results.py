"""A backtest's result as plain values: what is printed, stored and compared. Amounts stay exact decimals, statistics are floats."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from signalist.domain.backtest.kernel import Outcome
from signalist.domain.backtest.metrics import Floats, Metrics

Values = dict[str, object]


def metric_values(metrics: Metrics, outcome: Outcome) -> Values:
    """The metrics by name, and how many entry signals were not traded, by rule in order of name."""
    return {**asdict(metrics), "passed_over": dict(sorted(outcome.passed_over.items()))}


def trade_values(outcome: Outcome) -> list[Values]:
    """The trades in order of time. `entry_price` and `exit_price` include slippage; `pnl` is net of `fees`, both sides' together."""
    grid = outcome.grid
    return [
        {
            "entry_time": moment(outcome.begun(fill)),
            "exit_time": moment(outcome.ended(fill)),
            "side": fill.direction.value,
            "quantity": grid.quantity(fill.lots),
            "entry_price": grid.price(fill.entry),
            "exit_price": grid.price(fill.exit),
            "fees": grid.amount(fill.entry_fee + fill.exit_fee),
            "pnl": grid.amount(fill.pnl),
            "exit_reason": fill.reason.value,
        }
        for fill in outcome.fills
    ]


def equity_points(outcome: Outcome, curve: Floats) -> list[tuple[str, float]]:
    """What the account is worth at each bar's close, in the quote currency."""
    seconds = outcome.bars.time.astype("datetime64[s]")
    times = np.char.add(np.datetime_as_string(seconds), "Z").tolist() if len(seconds) else []
    return list(zip(times, curve.tolist(), strict=True))


def moment(seconds: int) -> str:
    """Epoch seconds as the time in UTC that every file of the house writes."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
