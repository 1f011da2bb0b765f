"""What can be traded: an instrument of one venue with its steps, minimums and abilities."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from .money import nearest_to, plain, truncate_to


class InstrumentKind(StrEnum):
    """SPOT is bought with money and sold from stock, long only; PERPETUAL is margined, long or short."""

    SPOT = "SPOT"
    PERPETUAL = "PERPETUAL"


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """An instrument's rules. `tick` is the price step in quote currency, `lot` the quantity step in base units.

    `max_leverage` bounds the margin that the venue lends against; 1 on spot.
    """

    venue: str
    symbol: str
    base: str
    quote: str
    kind: InstrumentKind
    tick: Decimal
    lot: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    max_leverage: Decimal = Decimal(1)

    @property
    def name(self) -> str:
        """`venue:symbol`, the natural key."""
        return f"{self.venue}:{self.symbol}"

    @property
    def can_short(self) -> bool:
        return self.kind is not InstrumentKind.SPOT

    def price(self, value: Decimal) -> Decimal:
        """`value` on the price grid, nearest tick; never below one tick."""
        return max(nearest_to(value, self.tick), self.tick)

    def quantity(self, value: Decimal) -> Decimal:
        """`value` on the quantity grid, always toward zero (EXE-18)."""
        return truncate_to(value, self.lot)

    def too_small(self, quantity: Decimal, price: Decimal) -> str | None:
        """Why the venue would refuse an order of this size, or None."""
        if quantity < self.min_quantity or quantity <= 0:
            return f"quantity {plain(quantity)} is under the minimum {plain(self.min_quantity)} {self.base}"
        if quantity * price < self.min_notional:
            return f"value {plain(quantity * price)} is under the minimum {plain(self.min_notional)} {self.quote}"
        return None
