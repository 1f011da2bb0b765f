"""The fill loop: from a strategy's signals and the bars to trades. It costs per trade, not per bar, and little where what an entry
comes to does not hang on the money that is left (plan.py).

The rules are those of the live chain on the paper venue, over `domain.matching`:

* A signal is known at its bar's close and traded at the next bar's open, a taker's price with slippage (CON-62); on the last bar it
  is not traded any more.
* One position at a time. An entry while one is open is passed over; an exit closes its own direction only. Of an exit and an entry of
  one bar the exit comes first.
* Stop and target are watched from the bar of the entry on: what the open has passed fills at the open, a gap is paid in full (CON-63);
  inside a bar the stop comes before the target (CON-60); both pay slippage. An exit at the open comes before them.
* Losing more than the account holds ends a position at its liquidation price, which lies beyond the stop or takes its place (CON-67).
* What is open at the end is closed at the last close.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from signalist.domain.backtest.bars import Bars, Ticks
from signalist.domain.backtest.entries import FIRST_LOOK, Entries
from signalist.domain.backtest.fills import ExitReason, Fill, Fills
from signalist.domain.backtest.plan import Plan
from signalist.domain.backtest.terms import BacktestTerms, Costs, Grid, Ratio, Sizer
from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.signals import Direction
from signalist.domain.strategies import SignalArrays

__all__ = ["ExitReason", "Fill", "Outcome", "trade"]

LONGEST_LOOK = 65_536


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a backtest. `passed_over` counts the entry signals that were not traded, by rule."""

    grid: Grid
    bars: Bars
    capital: int
    fills: Fills
    passed_over: dict[str, int]

    def begun(self, fill: Fill) -> int:
        """When a position was entered, in epoch seconds: at its bar's open."""
        return self.bars.begins(fill.entry_bar)

    def ended(self, fill: Fill) -> int:
        """When it ended: at its last bar's open, or inside it, which counts as its close."""
        return self.bars.begins(fill.exit_bar) if fill.exit_at_open else int(self.bars.time[fill.exit_bar])


def trade(bars: Bars, signals: SignalArrays, terms: BacktestTerms, spec: InstrumentSpec) -> Outcome:
    """Trade `signals` (arrays of the bars' length, checked) over `bars`. Raises DomainError where the two do not belong together."""
    if len(signals) != len(bars):
        raise DomainError(f"There are signals for {len(signals)} bars and {len(bars)} bars.")
    if terms.leverage > spec.max_leverage:
        raise DomainError(
            f"{spec.name} is traded with a leverage of at most {spec.max_leverage}, not {terms.leverage}."
        )
    return _Run(bars, signals, terms, spec).outcome()


class _Position(NamedTuple):
    """The position that is open: `leaves` is the bar at whose open an exit signal ends it (past the last where none does)."""

    direction: Direction
    bar: int
    leaves: int
    lots: int
    entry: int
    fee: int
    stop: int | None
    target: int | None
    stop_reason: ExitReason


class _Run:
    """One backtest under way."""

    def __init__(self, bars: Bars, signals: SignalArrays, terms: BacktestTerms, spec: InstrumentSpec) -> None:
        self.bars, self.terms, self.spec = bars, terms, spec
        self.n = len(bars)
        self.grid = Grid(spec)
        self.sizer, self.costs = Sizer(terms, self.grid), Costs(terms, self.grid)
        self.entries = Entries.of(bars, signals, spec, needs_stop=terms.risk_fraction is not None)
        self.at: list[int] = self.entries.bar.tolist()
        self.kept = Ratio.of(terms.maintenance)
        self.cash = self.grid.units(terms.capital)
        self.planned: list[int] = []
        """The entries that were traded as planned."""
        self.fills: list[tuple[int, Fill]] = []
        """The others, each with how many of the planned ones came before it."""
        self.passed_over: Counter[str] = Counter()

    def outcome(self) -> Outcome:
        capital = self.cash
        plan = Plan.of(self.bars, self.entries, self.terms, self.grid)
        last = len(self.at) - 1 if self.at and self.at[-1] == self.n - 1 else len(self.at)
        needs, rules, results, following = plan.needs, plan.rule, plan.pnl, plan.next
        index, planned = 0, self.planned
        while index < last:
            if self.cash < needs[index]:
                position = self._enter(index)
                # Never back: a position holds its own bar.
                index = index + 1 if position is None else bisect_left(self.at, self._close(position, index), index + 1)
            elif rules[index]:
                self.passed_over[rules[index]] += 1
                index += 1
            else:
                planned.append(index)
                self.cash += results[index]
                index = following[index]
        skipped = last - len(planned) - len(self.fills) - self.passed_over.total()
        self.passed_over += Counter(position_open=skipped, after_the_end=len(self.at) - last)
        return Outcome(self.grid, self.bars, capital, self._together(plan), dict(self.passed_over))

    # --- Entries ---------------------------------------------------------------------------------

    def _enter(self, index: int) -> _Position | None:
        """Decide an entry at its bar's close and fill it at the next open; None where it is passed over, counted by rule."""
        entries = self.entries
        stop, target, price = (int(column[index]) for column in (entries.stop, entries.target, entries.close))
        rule, lots = str(entries.rule[index]), 0
        if not rule:
            lots, rule = self.sizer.lots(price, stop or None, self.cash)
        if not lots:
            self.passed_over[rule] += 1
            return None
        direction, opened = entries.direction(index), int(entries.next_open[index])
        long = direction is Direction.LONG
        entry = self.costs.bought_at(opened) if long else self.costs.sold_at(opened)
        fee = self.costs.fee(entry, lots)
        why, ruin = ExitReason.STOP, self._liquidation(long, lots, entry, fee)
        if ruin is not None and (not stop or (ruin > stop if long else ruin < stop)):
            stop, why = ruin, ExitReason.LIQUIDATION
        bar, leaves = int(entries.begins[index]), int(entries.leaves[index])
        return _Position(direction, bar, leaves, lots, entry, fee, stop or None, target or None, why)

    def _liquidation(self, long: bool, lots: int, entry: int, fee: int) -> int | None:
        """The price at which what the account is worth falls to the maintenance of the position; None where none above zero does.

        cash + side × lots × (p − entry) = maintenance × lots × p, solved for p and rounded to the first tick that is as bad.
        """
        held, cash = lots * self.grid.worth, self.cash - fee
        if long:
            missing = held * entry - cash
            if missing <= 0:
                return None
            return missing * self.kept.bottom // (held * (self.kept.bottom - self.kept.top)) or None
        return -(-(held * entry + cash) * self.kept.bottom // (held * (self.kept.bottom + self.kept.top)))

    def _together(self, plan: Plan) -> Fills:
        """The round trips in order: the planned ones, with those that were worked out one by one where they came."""
        return plan.fills(self.planned).with_these(self.fills)

    # --- Exits -----------------------------------------------------------------------------------

    def _close(self, position: _Position, index: int) -> int:
        """Find how the position ends and book it; the first bar whose entry may be traded again."""
        n = self.n
        bar = self._reached(position, index)
        if bar is not None:
            price, reason, at_open = self._protected(position, bar)
        elif position.leaves < n:
            bar, reason, at_open = position.leaves, ExitReason.SIGNAL, True
            price = self.bars.open.item(bar)
        else:
            bar, reason, at_open = n - 1, ExitReason.END, False
            price = self.bars.close.item(bar)
        self._book(position, bar, price, reason, at_open)
        # An entry of the bar whose exit this was is traded too: exits come first. What ends otherwise leaves its bar's close free.
        return bar - 1 if reason is ExitReason.SIGNAL else bar

    def _reached(self, position: _Position, index: int) -> int | None:
        """The first bar from the entry's on, and before it leaves, whose range reaches a level; looked for in stretches that grow."""
        long = position.direction is Direction.LONG
        floor, ceiling = (position.stop, position.target) if long else (position.target, position.stop)
        begin, until, look = position.bar, min(position.leaves, self.n), FIRST_LOOK
        lowest, highest = int(self.entries.lowest[index]), int(self.entries.highest[index])
        while True:
            end = min(begin + look, until)
            if (floor is not None and lowest <= floor) or (ceiling is not None and highest >= ceiling):
                return begin + _first(self.bars.low[begin:end], self.bars.high[begin:end], floor, ceiling)
            begin, look = end, min(look * 4, LONGEST_LOOK)
            if begin >= until:
                return None
            end = min(begin + look, until)
            lowest, highest = self.bars.low[begin:end].min().item(), self.bars.high[begin:end].max().item()

    def _protected(self, position: _Position, bar: int) -> tuple[int, ExitReason, bool]:
        """The price before slippage at which a level of the position ends it inside `bar`, why, and whether at its open."""
        sign = position.direction.sign
        opened = self.bars.open.item(bar)
        extreme = (self.bars.low if sign > 0 else self.bars.high).item(bar)
        stop, target = position.stop, position.target
        if stop is not None and (opened - stop) * sign <= 0:
            return opened, position.stop_reason, True
        if target is not None and (opened - target) * sign >= 0:
            return opened, ExitReason.TARGET, True
        if stop is not None and (extreme - stop) * sign <= 0:
            return stop, position.stop_reason, False
        assert target is not None  # the bar has reached a level, and it was not the stop
        return target, ExitReason.TARGET, False

    def _book(self, position: _Position, bar: int, price: int, reason: ExitReason, at_open: bool) -> None:
        direction, begun, _, lots, entry, entry_fee, _, _, _ = position
        long = direction is Direction.LONG
        left = self.costs.sold_at(price) if long else self.costs.bought_at(price)
        fee = self.costs.fee(left, lots)
        gross = (left - entry if long else entry - left) * lots * self.grid.worth
        pnl = gross - entry_fee - fee
        self.cash += pnl
        fill = Fill(direction, begun, bar, lots, entry, left, entry_fee, fee, pnl, reason, at_open)
        self.fills.append((len(self.planned), fill))


def _first(low: Ticks, high: Ticks, floor: int | None, ceiling: int | None) -> int:
    """The first place at which prices reach down to the floor or up to the ceiling; one of them does."""
    reached = np.zeros(len(low), dtype=np.bool_)
    if floor is not None:
        reached |= low <= floor
    if ceiling is not None:
        reached |= high >= ceiling
    return int(np.argmax(reached))
