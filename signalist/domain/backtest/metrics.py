"""What a backtest comes to: equity on every bar, and the core metrics. A metric that is not defined is None, never zero or infinity.

Trades are counted in exact amounts; ratios over returns are statistics in floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from signalist.domain.backtest.kernel import Outcome
from signalist.domain.money import ZERO, settle
from signalist.domain.signals import Direction

Floats = NDArray[np.float64]
DAY = 86_400
YEAR = 365 * DAY
# Crypto and other markets that never close (CON-57).
DAYS_A_YEAR = 365


@dataclass(frozen=True, slots=True)
class Metrics:
    """Amounts are in the quote currency, losses negative (CON-68); rates, returns and drawdowns are fractions of 1.

    `win_rate`: winners ÷ trades (a trade without result is neither, ANA-01). `profit_factor`: gains ÷ losses, None without a loss.
    `max_drawdown`: the deepest fall of equity from its highest so far, as an amount and as a fraction of that height (CON-58).
    `sharpe`, `sortino`: of daily returns, sample deviation, times √365, without a riskless rate (CON-57); None for fewer than two days
    or no deviation. `exposure`: the share of bars at whose close a position is open. Durations are seconds.
    """

    bars: int
    initial_capital: Decimal
    final_capital: Decimal
    net_pnl: Decimal
    total_return: float
    annual_return: float | None
    max_drawdown: Decimal
    max_drawdown_fraction: float
    sharpe: float | None
    sortino: float | None
    trades: int
    winners: int
    losers: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None
    largest_win: Decimal | None
    largest_loss: Decimal | None
    average_duration: float | None
    fees: Decimal
    exposure: float


def equity(outcome: Outcome) -> Floats:
    """What the account is worth at every bar's close, in the quote currency, shape (n,): cash, what was realised, and the open
    position at the close, net of the fees that were paid (CON-66)."""
    n, grid = len(outcome.bars), outcome.grid
    if not outcome.fills:
        return np.full(n, outcome.capital / 10**grid.places)
    held = _held(outcome, n)
    np.subtract(outcome.bars.close, held.entry, out=held.entry)
    value = np.multiply(held.lots, held.entry, out=held.lots)
    value *= float(grid.amount(grid.worth))
    value += held.cash
    return value


def metrics(outcome: Outcome, curve: Floats | None = None) -> Metrics:
    """The core metrics; `curve` is `equity(outcome)` where it is at hand."""
    curve = equity(outcome) if curve is None else curve
    grid, fills = outcome.grid, outcome.fills
    begun, ended, entry_fees, exit_fees, results = map(
        fills.column, ("entry_bar", "exit_bar", "entry_fee", "exit_fee", "pnl")
    )
    wins, losses = [pnl for pnl in results if pnl > 0], [pnl for pnl in results if pnl < 0]
    net = sum(results)
    fall, fraction = drawdown(curve, float(grid.amount(outcome.capital)))
    sharpe, sortino = ratios(daily_returns(outcome.bars.time, curve, float(grid.amount(outcome.capital))))
    total = net / outcome.capital
    times = outcome.bars.time

    def mean(values: Sequence[int]) -> Decimal | None:
        return settle(grid.amount(sum(values)) / len(values)) if values else None

    return Metrics(
        bars=len(outcome.bars),
        initial_capital=grid.amount(outcome.capital),
        final_capital=grid.amount(outcome.capital + net),
        net_pnl=grid.amount(net),
        total_return=total,
        annual_return=_annual(total, times),
        max_drawdown=settle(Decimal(repr(fall))) if fall else ZERO,
        max_drawdown_fraction=fraction,
        sharpe=sharpe,
        sortino=sortino,
        trades=len(fills),
        winners=len(wins),
        losers=len(losses),
        win_rate=len(wins) / len(fills) if fills else None,
        profit_factor=sum(wins) / -sum(losses) if losses else None,
        expectancy=mean(results),
        average_win=mean(wins),
        average_loss=mean(losses),
        largest_win=grid.amount(max(wins)) if wins else None,
        largest_loss=grid.amount(min(losses)) if losses else None,
        average_duration=_average_duration(outcome),
        fees=grid.amount(sum(entry_fees) + sum(exit_fees)),
        exposure=(sum(ended) - sum(begun)) / len(outcome.bars) if len(outcome.bars) else 0.0,
    )


def drawdown(curve: Floats, initial: float) -> tuple[float, float]:
    """The deepest fall from the highest equity so far, which is `initial` before the first bar: as an amount, and the deepest as a
    fraction of its height (the two need not be the same fall)."""
    if not len(curve):
        return 0.0, 0.0
    peak = np.maximum.accumulate(curve)
    np.maximum(peak, initial, out=peak)
    below = peak - curve
    deepest = float(below.max())
    return deepest, float(np.divide(below, peak, out=below).max())


def daily_returns(times: NDArray[np.int64], curve: Floats, initial: float) -> Floats:
    """The return of each UTC day that has a bar, from the equity at its last close; the first day's from `initial`. A bar that closes
    at midnight belongs to the day that it ends. Days after the equity has come to nothing have no return."""
    if not len(curve):
        return np.empty(0)
    last = _last_of_days(times)
    closing = np.concatenate(([initial], curve[last]))
    alive = np.flatnonzero(closing <= 0)
    closing = closing[: int(alive[0]) + 1] if len(alive) else closing
    return np.asarray(closing[1:] / closing[:-1] - 1.0, dtype=np.float64)


def ratios(returns: Floats) -> tuple[float | None, float | None]:
    """Sharpe and Sortino ratios of daily returns, annualised with √365 (CON-57, ANA-09).

    Sharpe: mean ÷ sample deviation. Sortino: mean ÷ √(mean of squared losses), over all days.
    """
    if len(returns) < 2:
        return None, None
    mean, scale = float(returns.mean()), math.sqrt(DAYS_A_YEAR)
    spread = float(returns.std(ddof=1))
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return (mean / spread * scale if spread > 0 else None, mean / downside * scale if downside > 0 else None)


def _last_of_days(times: NDArray[np.int64]) -> NDArray[np.intp]:
    """The last bar of each day that has one; `times` ascend."""
    first, final = (int(times[0]) - 1) // DAY, (int(times[-1]) - 1) // DAY
    if final - first > len(times):  # days between, most of which have no bar
        days = (times - 1) // DAY
        return np.flatnonzero(np.append(days[1:] != days[:-1], True))
    midnights = np.arange(first + 1, final + 1) * DAY
    return np.unique(np.append(np.searchsorted(times, midnights, side="right"), len(times))) - 1


class _Held(NamedTuple):
    """At each bar's close, shape (n,): the cash in the quote currency, the signed lots that are held and the price of their entry."""

    cash: Floats
    lots: Floats
    entry: NDArray[np.int64]


def _held(outcome: Outcome, n: int) -> _Held:
    """What is held between the bars at which something changes; there is a fill."""
    scale = 10**outcome.grid.places
    column = outcome.fills.column
    begin, end, price = (np.array(column(name), dtype=np.int64) for name in ("entry_bar", "exit_bar", "entry"))
    signs = np.array([1.0 if direction is Direction.LONG else -1.0 for direction in column("direction")])
    # Before the first entry, then by turns after an entry and after its exit; of changes at one bar the last counts.
    lasting = np.diff(np.concatenate(([0], np.column_stack((begin, end)).ravel(), [n])))
    lots, entries = np.zeros(len(lasting)), np.zeros(len(lasting), dtype=np.int64)
    lots[1::2], entries[1::2] = np.array(column("lots"), dtype=np.float64) * signs, price
    # Summed in whole numbers and divided once, so that no bar's value has drifted.
    after = list(accumulate(column("pnl"), initial=outcome.capital))
    cash = np.empty(len(lasting))
    cash[0::2] = [units / scale for units in after]
    cash[1::2] = [(units - fee) / scale for units, fee in zip(after, column("entry_fee"), strict=False)]
    return _Held(np.repeat(cash, lasting), np.repeat(lots, lasting), np.repeat(entries, lasting))


def _annual(total: float, times: NDArray[np.int64]) -> float | None:
    """The return of a year at the same pace, compounded; None under a day, or where everything was lost."""
    if len(times) < 2 or total <= -1:
        return None
    seconds = int(times[-1] - times[0])
    return None if seconds < DAY else float((1.0 + total) ** (YEAR / seconds) - 1.0)


def _average_duration(outcome: Outcome) -> float | None:
    """From a position's fill at its bar's open to its end: at a bar's open, or inside it, which counts as its close."""
    if not outcome.fills:
        return None
    times, seconds = outcome.bars.time, outcome.bars.seconds
    begin, end = (np.array(outcome.fills.column(name)) for name in ("entry_bar", "exit_bar"))
    # Each begins at its bar's open, and those that end at a bar's open end a bar's length before its close.
    at_open: int = sum(outcome.fills.column("exit_at_open"))
    whole = int((times[end] - times[begin]).sum()) + seconds * (len(outcome.fills) - at_open)
    return whole / len(outcome.fills)
