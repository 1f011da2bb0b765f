"""The entry signals of a backtest, with what can be known of each before it is known which are traded: all at once, by column."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from numpy.typing import NDArray

from signalist.domain.backtest.bars import Bars, Ticks
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.signals import Direction
from signalist.domain.strategies import SignalArrays

FIRST_LOOK = 128
"""Over so many bars from an entry on the lowest and highest price are looked up beforehand: most positions end, or come to no level."""
# A level this near the middle between two ticks is rounded in decimals, as live does it.
_NEAR = 1e-6
NO_LEVEL = 0
FARTHEST = 2**62
"""Farther than any price goes, and whole numbers hold it."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Columns of equal length, by bar. Prices are ticks; NO_LEVEL for one that is not named.

    `begins` is the bar of the position, `leaves` the bar at whose open an exit signal ends it, the number of bars where none does.
    `floor` and `ceiling` are the levels as prices that end it from above and from below. `lowest` and `highest` are over the first
    `FIRST_LOOK` bars from the entry's on that come before it. `rule` refuses the entry whatever it costs, or is "".
    """

    bar: Ticks
    begins: Ticks
    long: NDArray[np.bool_]
    close: Ticks
    next_open: Ticks
    stop: Ticks
    target: Ticks
    floor: Ticks
    ceiling: Ticks
    leaves: Ticks
    lowest: Ticks
    highest: Ticks
    rule: NDArray[np.str_]

    @classmethod
    def of(cls, bars: Bars, signals: SignalArrays, spec: InstrumentSpec, *, needs_stop: bool = False) -> Entries:
        """The entries of `signals`, which have been checked and are as long as `bars`. `needs_stop`: those without are refused."""
        n = len(bars)
        at = np.flatnonzero(signals.enter_long | signals.enter_short)
        long = signals.enter_long[at]
        begins = np.minimum(at + 1, max(n - 1, 0))
        close = bars.close[at]
        stop = _levels(np.where(long, signals.stop_long[at], signals.stop_short[at]), spec)
        target = _levels(np.where(long, signals.target_long[at], signals.target_short[at]), spec)
        leaves = np.where(long, _leaves(signals.exit_long, begins, n), _leaves(signals.exit_short, begins, n))
        until = np.minimum(leaves, begins + FIRST_LOOK)
        wrong = _wrong(stop, close, above=~long) | _wrong(target, close, above=long)
        if needs_stop:
            rules = np.where(stop == NO_LEVEL, "stop_missing", np.where(wrong, "stop_side", ""))
        else:
            rules = np.where(wrong, "stop_side", "")
        lowest, highest = extremes(bars, begins, until)
        ceiling = np.where(long, target, stop)
        return cls(
            bar=at,
            begins=begins,
            long=long,
            close=close,
            next_open=bars.open[begins],
            stop=stop,
            target=target,
            floor=np.where(long, stop, target),
            ceiling=np.where(ceiling == NO_LEVEL, FARTHEST, ceiling),
            leaves=leaves,
            lowest=lowest,
            highest=highest,
            rule=np.where(long | spec.can_short, rules, "short_unsupported"),
        )

    def direction(self, index: int) -> Direction:
        return Direction.LONG if self.long[index] else Direction.SHORT


def _levels(prices: NDArray[np.float64], spec: InstrumentSpec) -> Ticks:
    """Levels in ticks: the nearest, never below one nor beyond any price; 0 where there is none."""
    none = np.isnan(prices)
    ticks = np.where(none, 1.0, prices) / float(spec.tick)
    nearest = np.rint(ticks)
    for close_call in np.flatnonzero(np.abs(np.abs(ticks - nearest) - 0.5) < _NEAR).tolist():
        exactly = Decimal(repr(float(prices[close_call]))) / spec.tick
        nearest[close_call] = int(exactly.to_integral_value(rounding=ROUND_HALF_EVEN))
    return np.where(none, NO_LEVEL, np.clip(nearest, 1.0, float(FARTHEST))).astype(np.int64)


def _wrong(level: Ticks, price: Ticks, *, above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a level that must lie above the price (or below it) does not."""
    return np.asarray((level != NO_LEVEL) & np.where(above, level <= price, level >= price), dtype=np.bool_)


def _leaves(exits: NDArray[np.bool_], begins: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """For each position that begins, the bar after its first exit signal; `n` where there is none, or none that is traded."""
    at = np.append(np.flatnonzero(exits), n)
    return np.asarray(np.minimum(at[np.searchsorted(at, begins)] + 1, n), dtype=np.intp)


def extremes(bars: Bars, begins: NDArray[np.intp], ends: NDArray[np.intp]) -> tuple[Ticks, Ticks]:
    """The lowest and the highest price of each stretch [begin, end), none of which is empty."""
    return _over(np.minimum, bars.low, begins, ends), _over(np.maximum, bars.high, begins, ends)


def _over(extreme: np.ufunc, prices: Ticks, begins: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.int64]:
    """The extreme of each stretch [begin, end)."""
    if not len(begins):
        return np.empty(0, dtype=np.int64)
    # Of the stretches between pairs of indices every other one is wanted. An end must lie within the prices: what would end behind them
    # is looked up but for the last price, which is added.
    last = len(prices) - 1
    found = extreme.reduceat(prices, np.column_stack((begins, np.minimum(ends, last))).ravel())[::2]
    return np.asarray(np.where(ends > last, extreme(found, prices[last]), found), dtype=np.int64)
