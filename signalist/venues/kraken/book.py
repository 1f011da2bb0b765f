"""An order book as Kraken's stream tells it, checked by Kraken's own checksum after every message. Pure.

The ten best asks from the lowest and the ten best bids from the highest, each price and quantity with the pair's decimals, without the
point and leading zeros, one after the other: CRC-32 of that (Kraken, "WebSocket v2 book checksum"). Always ten, whatever the depth.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from signalist.venues.kraken.parse import instant, number
from signalist.venues.market_data import BookLevel, BookSnapshot

CHECKED = 10
DEPTHS = (10, 25, 100, 500, 1000)


def checksum(
    asks: Iterable[tuple[Decimal, Decimal]],
    bids: Iterable[tuple[Decimal, Decimal]],
    price_decimals: int,
    quantity_decimals: int,
) -> int:
    """The checksum of these levels, which are the ten best of each side, best first."""
    levels = [*asks, *bids]
    text = "".join(_digits(price, price_decimals) + _digits(quantity, quantity_decimals) for price, quantity in levels)
    return zlib.crc32(text.encode())


def _digits(value: Decimal, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace(".", "").lstrip("0")


class WrongBook(Exception):
    """What we have is not what the venue has."""


class Book:
    """One symbol's."""

    def __init__(self, symbol: str, depth: int, price_decimals: int, quantity_decimals: int) -> None:
        self.symbol, self.depth = symbol, depth
        self._decimals = price_decimals, quantity_decimals
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}
        self.whole = False

    def take(self, row: Mapping[str, Any], *, snapshot: bool) -> BookSnapshot | None:
        """A message's row for this symbol; the book after it, None for an update that came before a snapshot. Raises WrongBook."""
        if snapshot:
            self._bids, self._asks, self.whole = {}, {}, True
        elif not self.whole:
            return None
        for side, levels in ((self._bids, row["bids"]), (self._asks, row["asks"])):
            for level in levels:  # a price may come twice: the later counts
                price, quantity = number(level["price"]), number(level["qty"])
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        bids, asks = sorted(self._bids.items(), reverse=True), sorted(self._asks.items())
        self._bids, self._asks = dict(bids[: self.depth]), dict(asks[: self.depth])
        if checksum(asks[:CHECKED], bids[:CHECKED], *self._decimals) != int(row["checksum"]):
            self.whole = False
            raise WrongBook(f"The book of {self.symbol} is not the venue's.")
        at = row.get("timestamp")
        best_bids, best_asks = (tuple(BookLevel(*level) for level in of[: self.depth]) for of in (bids, asks))
        return BookSnapshot(self.symbol, best_bids, best_asks, None if at is None else instant(at))
