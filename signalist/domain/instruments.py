"""What can be traded: an instrument of one venue with its steps, minimums and abilities."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from .money import nearest_to, plain, truncate_to


class Trading(StrEnum):
    """What a venue lets people do in a market. CLOSED: halted, in maintenance, or not open yet. DELISTED: it is traded there no more."""

    ONLINE = "online"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    LIMIT_ONLY = "limit_only"
    REDUCE_ONLY = "reduce_only"
    CLOSED = "closed"
    DELISTED = "delisted"

    def takes_entries(self, *, limit: bool) -> bool:
        """Whether a position can be opened, by a limit order or by one at the market. Ours never only rest, so post-only takes none."""
        return self is Trading.ONLINE or (limit and self is Trading.LIMIT_ONLY)


class InstrumentKind(StrEnum):
    """SPOT is bought with money and sold from stock, long only; PERPETUAL is margined, long or short."""

    SPOT = "SPOT"
    PERPETUAL = "PERPETUAL"


RULES = (
    "venue", "symbol", "base", "quote", "kind", "tick", "lot", "min_quantity", "min_notional", "max_leverage",
)  # fmt: skip
"""What must be told of an instrument so that somebody else can trade it, by the names that `InstrumentSpec` and its rows share."""


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """An instrument's rules. `tick` is the price step in quote currency, `lot` the quantity step in base units.

    `max_leverage` bounds the margin that the venue lends against; 1 on spot. Fees are fractions of an order's value, those of an account
    that has traded nothing yet; None where they are not known. `trading` is what may be done there now.
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
    taker_fee: Decimal | None = None
    maker_fee: Decimal | None = None
    trading: Trading = Trading.ONLINE

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
