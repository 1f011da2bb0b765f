"""How the position of each entry ends, found for all of them at once: as far as that does not hang on the account's money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalist.domain.backtest.bars import Bars, Ticks
from signalist.domain.backtest.entries import FIRST_LOOK, Entries, extremes
from signalist.domain.backtest.fills import ExitReason

REASONS = (ExitReason.STOP, ExitReason.TARGET, ExitReason.SIGNAL, ExitReason.END)
_STOP, _TARGET, _SIGNAL, _END = range(len(REASONS))
NOT_KNOWN = -1


@dataclass(frozen=True, slots=True)
class Ends:
    """Columns of the entries' length. `bar` is NOT_KNOWN where the position lasts longer than the first look; `price` in ticks before
    slippage; `reason` an index into REASONS. A liquidation is not among them."""

    bar: Ticks
    price: Ticks
    reason: NDArray[np.int64]
    at_open: NDArray[np.bool_]

    @classmethod
    def of(cls, bars: Bars, entries: Entries) -> Ends:
        """By the rules of the fill loop (kernel.py)."""
        n, begins = len(bars), entries.begins
        reached = np.flatnonzero((entries.lowest <= entries.floor) | (entries.highest >= entries.ceiling))
        leaving = entries.leaves < n
        bar = np.where(leaving, entries.leaves, n - 1)
        price = np.where(leaving, bars.open[bar], bars.close[bar])
        reason = np.where(leaving, _SIGNAL, _END)
        at_open = leaving.copy()
        bar[np.minimum(entries.leaves, n) > begins + FIRST_LOOK] = NOT_KNOWN
        bar[reached] = _first(bars, entries, reached)
        price[reached], reason[reached], at_open[reached] = _protected(bars, entries, reached, bar[reached])
        return cls(bar, price, reason, at_open)


def _first(bars: Bars, entries: Entries, at: NDArray[np.intp]) -> NDArray[np.intp]:
    """For the entries `at`, which reach a level within the first look, the first bar that does: by halving the stretch."""
    begin, floor, ceiling = entries.begins[at], entries.floor[at], entries.ceiling[at]
    until, width = np.minimum(entries.leaves[at], begin + FIRST_LOOK), FIRST_LOOK // 2
    while width:
        middle = np.minimum(begin + width, until)
        lowest, highest = extremes(bars, begin, middle)
        begin = np.where((lowest <= floor) | (highest >= ceiling), begin, middle)
        width //= 2
    return begin


def _protected(
    bars: Bars, entries: Entries, at: NDArray[np.intp], bar: Ticks
) -> tuple[Ticks, NDArray[np.int64], NDArray[np.bool_]]:
    """The price before slippage at which a level ends each position inside its bar, why, and whether at its open."""
    long, stop, target, opened = entries.long[at], entries.stop[at], entries.target[at], bars.open[bar]
    has_stop, has_target = stop > 0, target > 0
    stop_passed = has_stop & np.where(long, opened <= stop, opened >= stop)
    target_passed = has_target & np.where(long, opened >= target, opened <= target)
    at_open = stop_passed | target_passed
    stopped = has_stop & np.where(long, bars.low[bar] <= stop, bars.high[bar] >= stop)
    by_stop = stop_passed | (~target_passed & stopped)
    price = np.where(at_open, opened, np.where(stopped, stop, target))
    return price, np.where(by_stop, _STOP, _TARGET), at_open
