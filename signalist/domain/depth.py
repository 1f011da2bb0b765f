"""What an order book says of an order's cost: the spread, and how far a market order would reach into it. Pure.

Levels are (price, quantity), best first; prices in quote currency, quantities in base units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from signalist.domain.money import ZERO
from signalist.domain.orders import Side

Level = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a market order would take: `filled` of what was wanted at the mean price `average`. `slippage` is by which fraction of the best
    price the mean is worse, 0 or more. Both are None where nothing is there."""

    wanted: Decimal
    filled: Decimal
    average: Decimal | None
    slippage: Decimal | None

    @property
    def is_whole(self) -> bool:
        """Whether the levels that are known hold all of it."""
        return self.filled >= self.wanted


@dataclass(frozen=True, slots=True)
class Depth:
    """The best levels of both sides."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def spread(self) -> Decimal | None:
        """The best ask above the best bid, in quote currency."""
        return self.asks[0][0] - self.bids[0][0] if self.asks and self.bids else None

    @property
    def spread_fraction(self) -> Decimal | None:
        """The spread as a fraction of the middle."""
        spread = self.spread
        return None if spread is None else 2 * spread / (self.asks[0][0] + self.bids[0][0])

    def sweep(self, side: Side, quantity: Decimal) -> Sweep:
        """What a market order of `quantity` would take now: a buy from the asks, a sale from the bids."""
        return sweep(self.asks if side is Side.BUY else self.bids, quantity)


def sweep(levels: Sequence[Level], quantity: Decimal) -> Sweep:
    """What is taken from these levels, best first, until `quantity` is filled."""
    filled, paid = ZERO, ZERO
    for price, there in levels:
        taken = min(there, quantity - filled)
        if taken <= 0:
            break
        filled, paid = filled + taken, paid + taken * price
    if not filled:
        return Sweep(quantity, ZERO, None, None)
    average, best = paid / filled, levels[0][0]
    return Sweep(quantity, filled, average, abs(average - best) / best)
