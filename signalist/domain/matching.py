"""One matcher for the paper venue and the backtest: which resting orders a bar or a tick fills, in which order and at what price.

A bar is read pessimistically: what its open already reaches is filled first and at the open (a gap is paid in full);
after that stops come before targets. A stop and a take-profit become market orders and pay slippage; a resting limit
is filled at its own price. A tick is a bar whose four prices are one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from .money import ceil_to, floor_to, truncate_to
from .orders import OrderType, Side


@dataclass(frozen=True, slots=True)
class Bar:
    """The prices of one interval; a tick has four equal ones."""

    open: Decimal
    high: Decimal
    low: Decimal

    @classmethod
    def tick(cls, price: Decimal) -> Bar:
        return cls(price, price, price)


@dataclass(frozen=True, slots=True)
class Resting:
    """An order in the book: `price` of a limit, `trigger` of a stop or take-profit, neither of a market order."""

    key: str
    side: Side
    type: OrderType
    price: Decimal | None = None
    trigger: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """An order that the market reached, at the price it trades before slippage; `at_open` when the open already reached it."""

    order: Resting
    price: Decimal
    at_open: bool
    maker: bool


def hits(orders: Iterable[Resting], bar: Bar) -> list[Hit]:
    """The orders that `bar` fills, in the order in which they fill."""
    found = [hit for order in orders if (hit := _hit(order, bar)) is not None]
    return sorted(found, key=lambda hit: _precedence(hit, bar))


def marketable(order: Resting, price: Decimal) -> bool:
    """Whether `order` would trade at once with the market at `price`: a plain limit on the wrong side fills immediately (CON-27)."""
    return _hit(order, Bar.tick(price)) is not None


def slipped(price: Decimal, side: Side, fraction: Decimal, tick: Decimal) -> Decimal:
    """`price` made worse for the taker by `fraction`, on the price grid, rounded against the taker; never below one tick."""
    if side is Side.BUY:
        return ceil_to(price * (1 + fraction), tick)
    return max(floor_to(price * (1 - fraction), tick), tick)


def drawn(seed: int, *key: str) -> Decimal:
    """A number in [0, 1) drawn from hash(seed, natural key): the order of work never changes it."""
    digest = hashlib.sha256("\x1f".join((str(seed), *key)).encode()).digest()
    return Decimal(int.from_bytes(digest[:8], "big")) / Decimal(1 << 64)


def first_part(seed: int, key: str, quantity: Decimal, lot: Decimal, chance: Decimal) -> Decimal:
    """How much of a market order the market takes at once: all of it, or with `chance` between a quarter and three quarters."""
    if drawn(seed, key, "partial") >= chance:
        return quantity
    part = Decimal("0.25") + drawn(seed, key, "part") / 2
    return truncate_to(quantity * part, lot) or quantity


def _hit(order: Resting, bar: Bar) -> Hit | None:
    if order.type is OrderType.MARKET:
        return Hit(order, bar.open, at_open=True, maker=False)
    level = order.price if order.type is OrderType.LIMIT else order.trigger
    assert level is not None
    waits_for_rise = _waits_for_rise(order)
    maker = order.type is OrderType.LIMIT
    if bar.open >= level if waits_for_rise else bar.open <= level:
        return Hit(order, level if maker else bar.open, at_open=True, maker=maker)
    if bar.high >= level if waits_for_rise else bar.low <= level:
        return Hit(order, level, at_open=False, maker=maker)
    return None


def _waits_for_rise(order: Resting) -> bool:
    """A stop waits for the market to get worse for its owner, a limit or take-profit for it to get better."""
    return (order.side is Side.BUY) == (order.type is OrderType.STOP)


def _precedence(hit: Hit, bar: Bar) -> tuple[bool, bool, Decimal, str]:
    """Open first; then stops before the rest; then what lies nearest on the market's way; then the key."""
    way = (hit.price - bar.open) * (1 if _waits_for_rise(hit.order) else -1)
    return (not hit.at_open, hit.order.type is not OrderType.STOP, way, hit.order.key)
