"""The newest prices that this process was told of on the wire, ahead of the rows, for pages: a price stands in a row up to a second later.

Nothing but what people see is taken from here; who trades reads the rows.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

Known = tuple[Decimal, datetime]


class NewestPrices:
    """By instrument; written by the loop that hears, read by the threads that render."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}

    def put(self, instrument_id: int, price: Decimal, at: datetime) -> bool:
        """Note a price; False where one is known that was made later."""
        before = self._known.get(instrument_id)
        if before is not None and before[1] > at:
            return False
        self._known[instrument_id] = price, at
        return True

    def newer(self, instrument_id: int, stored: Known | None) -> Known | None:
        """The stored price, or the one that was heard where that was made later."""
        heard = self._known.get(instrument_id)
        return stored if heard is None or (stored is not None and stored[1] >= heard[1]) else heard

    def forget(self) -> None:
        """Know nothing any more: nobody listens."""
        self._known.clear()


newest_prices = NewestPrices()
