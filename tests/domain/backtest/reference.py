"""A slow second opinion on the fill loop: bar by bar, in decimals, by the very rules and the very matcher that the live chain uses.

It shares nothing with the kernel but its result's fields.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.matching import Bar, Resting, hits, slipped
from signalist.domain.money import ZERO, settle
from signalist.domain.orders import OrderType, Side
from signalist.domain.rules import Denied, EntryRequest, Standing, decide_entry
from signalist.domain.signals import Direction, Levels
from signalist.domain.strategies import BarSignals


@dataclass(frozen=True, slots=True)
class ReferenceTrade:
    direction: Direction
    entry_bar: int
    exit_bar: int
    quantity: Decimal
    entry: Decimal
    exit: Decimal
    fees: Decimal
    pnl: Decimal
    reason: str


@dataclass(slots=True)
class _Held:
    direction: Direction
    bar: int
    quantity: Decimal
    entry: Decimal
    fee: Decimal
    stop: Decimal | None
    target: Decimal | None


@dataclass(slots=True)
class Reference:
    """Feed it bar after bar, then `end`."""

    terms: BacktestTerms
    spec: InstrumentSpec

    def run(
        self, prices: list[tuple[Decimal, Decimal, Decimal, Decimal]], signals: list[BarSignals]
    ) -> tuple[list[ReferenceTrade], list[Decimal], Counter[str]]:
        """`prices` are (open, high, low, close) of each bar: the trades, the equity at every close, and entries passed over by rule."""
        cash, held = self.terms.capital, None
        trades: list[ReferenceTrade] = []
        curve: list[Decimal] = []
        passed: Counter[str] = Counter()
        leave, enter = False, None
        for bar, (opened, high, low, close) in enumerate(prices):
            if leave and held is not None:
                cash = self._leave(held, bar, opened, "signal", cash, trades)
                held = None
            if enter is not None:
                if held is not None:
                    passed["position_open"] += 1
                else:
                    held, rule = self._enter(enter, bar, prices[bar - 1][3], opened, cash)
                    if held is None:
                        passed[rule] += 1
            if held is not None:
                end = self._protection(held, Bar(opened, high, low), cash)
                if end is not None:
                    cash = self._leave(held, bar, *end, cash, trades)
                    held = None
            said = signals[bar]
            leave = held is not None and (said.exit_long if held.direction is Direction.LONG else said.exit_short)
            enter = said if said.enter_long or said.enter_short else None
            if bar == len(prices) - 1:
                if enter is not None:
                    passed["after_the_end"] += 1
                if held is not None:
                    cash = self._leave(held, bar, close, "end", cash, trades)
                    held = None
            curve.append(cash + (ZERO if held is None else self._open_result(held, close) - held.fee))
        return trades, curve, passed

    def _enter(
        self, said: BarSignals, bar: int, decided: Decimal, opened: Decimal, cash: Decimal
    ) -> tuple[_Held | None, str]:
        direction = Direction.LONG if said.enter_long else Direction.SHORT
        stop, target = (said.stop_long, said.target_long) if said.enter_long else (said.stop_short, said.target_short)
        levels = Levels(self._level(stop), self._level(target))
        standing = Standing(cash, cash, cash, 0, 0, ZERO, ZERO)
        # A fixed quantity is no rule of the live chain: it is checked as the smallest risk that asks for it.
        fixed = self.terms.quantity
        request = EntryRequest(
            direction=direction,
            spec=self.spec,
            price=decided,
            levels=levels,
            capital=self.terms.capital if fixed is None else fixed * decided,
            risk_fraction=self.terms.risk_fraction,
            notional_fraction=self.terms.notional_fraction if fixed is None else Decimal(1),
            leverage=self.terms.leverage,
            fee_rate=self.terms.fee_rate,
            standing=standing,
        )
        decision = decide_entry(request)
        if isinstance(decision, Denied):
            return None, decision.rule
        side = Side.BUY if direction is Direction.LONG else Side.SELL
        entry = slipped(opened, side, self.terms.slippage, self.spec.tick)
        fee = settle(entry * decision.quantity * self.terms.fee_rate)
        return _Held(direction, bar, decision.quantity, entry, fee, levels.stop, levels.target), ""

    def _level(self, price: float) -> Decimal | None:
        return None if math.isnan(price) else self.spec.price(Decimal(repr(price)))

    def _protection(self, held: _Held, bar: Bar, cash: Decimal) -> tuple[Decimal, str] | None:
        side = Side.SELL if held.direction is Direction.LONG else Side.BUY
        stop, why = held.stop, "stop"
        ruin = self._liquidation(held, cash - held.fee)
        if ruin is not None and (stop is None or (ruin - stop) * held.direction.sign > 0):
            stop, why = ruin, "liquidation"
        resting = []
        if stop is not None:
            resting.append(Resting(why, side, OrderType.STOP, trigger=stop))
        if held.target is not None:
            resting.append(Resting("target", side, OrderType.TAKE_PROFIT, trigger=held.target))
        found = hits(resting, bar)
        return (found[0].price, found[0].order.key) if found else None

    def _liquidation(self, held: _Held, cash: Decimal) -> Decimal | None:
        """The first price on the grid, looking from where nothing is lost, at which the account is worth no more than maintenance."""
        sign, keep, tick = held.direction.sign, self.terms.maintenance, self.spec.tick
        price = (sign * held.quantity * held.entry - cash) / (held.quantity * (sign - keep))
        if price <= 0:
            return None

        def ruined(at: Decimal) -> bool:
            return cash + sign * held.quantity * (at - held.entry) <= keep * held.quantity * at

        ticks = int(price / tick)
        # Longs: the highest price at which it holds. Shorts: the lowest.
        near = [at * tick for at in range(max(ticks - 2, 1), ticks + 4) if ruined(at * tick)]
        return (max(near) if sign > 0 else min(near)) if near else None

    def _leave(
        self, held: _Held, bar: int, price: Decimal, reason: str, cash: Decimal, trades: list[ReferenceTrade]
    ) -> Decimal:
        side = Side.SELL if held.direction is Direction.LONG else Side.BUY
        left = slipped(price, side, self.terms.slippage, self.spec.tick)
        fees = held.fee + settle(left * held.quantity * self.terms.fee_rate)
        pnl = self._open_result(held, left) - fees
        trades.append(ReferenceTrade(held.direction, held.bar, bar, held.quantity, held.entry, left, fees, pnl, reason))
        return cash + pnl

    def _open_result(self, held: _Held, price: Decimal) -> Decimal:
        return (price - held.entry) * held.quantity * held.direction.sign
