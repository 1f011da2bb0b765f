"""What each entry would come to with as much money as it asks for: priced, sized and paid for all of them at once, in whole numbers.

That is what it does come to while the account holds `needs` or more; below, the fill loop works it out one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalist.domain.backtest.bars import Bars, Ticks
from signalist.domain.backtest.ends import NOT_KNOWN, REASONS, Ends
from signalist.domain.backtest.entries import FARTHEST, Entries
from signalist.domain.backtest.fills import Fill, Fills
from signalist.domain.backtest.terms import BacktestTerms, Costs, Grid, Ratio, Sizer
from signalist.domain.signals import Direction

TRADED, TOO_SMALL = "", "minimum_size"
# Products stay below this, so that none runs over.
_LARGEST = 2**61
# Of the money that an entry is said to need: what is nearer than a float can tell is left to whole numbers.
_NEAR = 1e-9


@dataclass(frozen=True, slots=True)
class Plan:
    """Columns of the entries' length. `needs`, in units, is infinite where the entry must be worked out by itself. `next` is the first
    entry that may be traded after it. `rule` is what refuses it then, or TRADED."""

    needs: list[float]
    next: list[int]
    rule: list[str]
    pnl: list[int]
    _columns: tuple[NDArray[np.int64], ...]
    _entries: Entries
    _ends: Ends

    @classmethod
    def of(cls, bars: Bars, entries: Entries, terms: BacktestTerms, grid: Grid) -> Plan:
        """The plan of `entries`, by the rules of the fill loop (kernel.py)."""
        ends, sizer, costs = Ends.of(bars, entries), Sizer(terms, grid), Costs(terms, grid)
        highest = int(bars.high.max(initial=1)) * 2
        if not _fits(highest, terms, sizer, costs):
            return cls._unknown(entries, ends)
        asked = sizer.asked_at_once(entries.close, entries.stop)
        most = _LARGEST // (highest * max(2 * grid.worth, costs.fee_ratio.top, 1))
        lots = np.minimum(asked, most)
        entry = costs.taken(entries.next_open, buys=entries.long)
        left = costs.taken(ends.price, buys=~entries.long)
        entry_fee, exit_fee = costs.fees(entry, lots), costs.fees(left, lots)
        pnl = np.where(entries.long, left - entry, entry - left) * lots * grid.worth - entry_fee - exit_fee
        needs = np.maximum(
            sizer.needed(entries.close, lots), _safe_from(entries, lots, entry, entry_fee, terms, grid)
        ) * (1 + _NEAR)
        needs[(asked > most) | (ends.bar == NOT_KNOWN)] = np.inf
        small = (lots < grid.min_lots) | (lots * entries.close < grid.min_worth)
        rule = np.where(entries.rule != "", entries.rule, np.where(small, TOO_SMALL, TRADED))
        # An entry of the bar whose exit this was is traded too: exits come first. What ends otherwise leaves its bar's close free.
        free = ends.bar - (ends.reason == REASONS.index("signal"))
        following = np.searchsorted(entries.bar, free)
        columns = (lots, entry, left, entry_fee, exit_fee, pnl)
        return cls(needs.tolist(), following.tolist(), rule.tolist(), pnl.tolist(), columns, entries, ends)

    @classmethod
    def _unknown(cls, entries: Entries, ends: Ends) -> Plan:
        """Where numbers could run over: each entry is worked out by itself."""
        size = len(entries.bar)
        return cls([np.inf] * size, [0] * size, entries.rule.tolist(), [0] * size, (), entries, ends)

    def fills(self, indices: list[int]) -> Fills:
        """The round trips of the entries `indices`, as planned."""
        if not indices:
            return Fills([()] * len(Fill._fields))
        at = np.array(indices)
        lots, entry, left, entry_fee, exit_fee, pnl = (column[at].tolist() for column in self._columns)
        directions = [Direction.LONG if long else Direction.SHORT for long in self._entries.long[at].tolist()]
        bars = self._entries.begins[at].tolist(), self._ends.bar[at].tolist()
        reasons = [REASONS[reason] for reason in self._ends.reason[at].tolist()]
        at_open = self._ends.at_open[at].tolist()
        return Fills((directions, *bars, lots, entry, left, entry_fee, exit_fee, pnl, reasons, at_open))


def _fits(highest: int, terms: BacktestTerms, sizer: Sizer, costs: Costs) -> bool:
    """Whether prices up to `highest` can be reckoned with in 64 bits under these terms."""
    slippage = Ratio.of(terms.slippage)
    factor = max(slippage.bottom + slippage.top, costs.fee_ratio.top, costs.fee_ratio.bottom)
    return factor * highest < _LARGEST and sizer.fits(highest, _LARGEST)


def _safe_from(
    entries: Entries, lots: Ticks, entry: Ticks, fee: Ticks, terms: BacktestTerms, grid: Grid
) -> NDArray[np.float64]:
    """The money from which on the position's liquidation price lies beyond its stop, or beyond all prices of the first look: with
    cash + side × lots × (p − entry) = maintenance × lots × p there, solved for the cash."""
    kept, held = float(terms.maintenance), lots.astype(np.float64) * grid.worth
    floor = np.maximum(entries.stop, entries.lowest - 1)
    ceiling = np.minimum(np.where(entries.stop > 0, entries.stop, FARTHEST), entries.highest + 1)
    below, above = entry - floor * (1 - kept), ceiling * (1 + kept) - entry
    return np.asarray(held * (np.where(entries.long, below, above) + _NEAR * entry) + fee)
