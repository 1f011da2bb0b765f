"""The newest prices of all that is offered, out of this process's memory: rows are read once a second at most, however many ask."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.clock import monotonic
from signalist.markets.models import Instrument
from signalist.markets.newest import newest_prices

KEPT = 1.0
"""Seconds that rows are kept: so often does a feed write them."""
MOST = 5_000


@dataclass(frozen=True, slots=True)
class Current:
    """An instrument and its newest price; None where there has been none."""

    instrument_id: int
    venue: str
    symbol: str
    pair: str | None
    quote: str
    price: Decimal | None
    at: datetime | None


class _Board:
    """One reader at a time; whoever comes meanwhile waits for what it reads."""

    def __init__(self) -> None:
        self._rows: list[Current] = []
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def rows(self) -> list[Current]:
        with self._lock:
            if monotonic() - self._read_at > KEPT:
                self._rows, self._read_at = _read(), monotonic()
            return self._rows

    def forget(self) -> None:
        with self._lock:
            self._read_at = float("-inf")


_board = _Board()
forget = _board.forget


def current_prices() -> list[Current]:
    """All of them, by symbol and venue. What this process has heard since the rows were read stands in its place. One query a second
    at most."""
    return [_newer(each) for each in _board.rows()]


def _read() -> list[Current]:
    names = ("pk", "venue", "symbol", "pair__code", "quote", "latest__price", "latest__at")
    found = Instrument.objects.filter(is_active=True).order_by("symbol", "venue").values_list(*names)[:MOST]
    return [Current(*values) for values in found]


def _newer(each: Current) -> Current:
    stored = None if each.price is None or each.at is None else (each.price, each.at)
    found = newest_prices.newer(each.instrument_id, stored)
    if found is None or found == stored:
        return each
    return Current(each.instrument_id, each.venue, each.symbol, each.pair, each.quote, *found)
