"""Wires the paper venue: its books, the market that it sees, and the sessions of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from signalist.accounts.paper_kept import KeptBooks
from signalist.accounts.paper_store import PaperStore
from signalist.clock import Clock
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.matching import Bar
from signalist.domain.timeframes import Timeframe
from signalist.engine.database import Database
from signalist.markets.models import Candle, Instrument, LatestPrice
from signalist.venues.paper.exchange import PaperExchange, SymbolBar
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.paper.venue import PAPER


class PublicMarket:
    """The public side of the market as the paper venue sees it: rules of its instruments and their newest prices, in memory."""

    def __init__(self) -> None:
        self._specs: dict[str, InstrumentSpec] = {}
        self._prices: dict[str, Decimal] = {}

    def spec(self, symbol: str) -> InstrumentSpec | None:
        """The instrument's rules."""
        return self._specs.get(symbol)

    def price(self, symbol: str) -> Decimal | None:
        """The newest price."""
        return self._prices.get(symbol)

    def set_price(self, symbol: str, price: Decimal) -> None:
        """The market moved."""
        self._prices[symbol] = price

    def refresh(self) -> None:
        """Read the rules and newest prices of all instruments of the paper venue."""
        for instrument in Instrument.objects.filter(venue=PAPER):
            self._specs[instrument.symbol] = instrument.spec()
        for symbol, price in LatestPrice.objects.filter(instrument__venue=PAPER).values_list(
            "instrument__symbol", "price"
        ):
            self._prices[symbol] = price


def paper_exchange(
    market: PublicMarket, clock: Clock, database: Database, terms: Terms, *, sole: bool = False, waits: bool = False
) -> PaperExchange:
    """The paper venue over its own tables. `sole`: no other process trades there, so its book need not be
    asked for news and stays in memory.
    `waits`: the venue's latency passes on the wall's clock too."""
    store = KeptBooks() if sole else PaperStore()
    return PaperExchange(store, market, clock, database, terms, asyncio.sleep if waits else None, sole=sole)


def bar_of(symbol: str, candle: Candle, frame: Timeframe) -> SymbolBar:
    """A stored candle as the venue's matcher takes it."""
    return SymbolBar(
        symbol, Bar(candle.open, candle.high, candle.low), candle.close_time - frame.length, candle.close_time
    )


def missed_bars(cursors: Mapping[str, str], frame_of: Callable[[str], Timeframe], until: datetime) -> list[SymbolBar]:
    """The candles since each symbol's cursor, in order of time: what the venue must work through after a restart."""
    missed: list[SymbolBar] = []
    for symbol, cursor in sorted(cursors.items()):
        stored = Candle.objects.filter(
            instrument__venue=PAPER,
            instrument__symbol=symbol,
            close_time__gt=datetime.fromisoformat(cursor),
            close_time__lte=until,
            is_synthetic=False,
        ).order_by("close_time")
        missed.extend(bar_of(symbol, candle, frame_of(candle.timeframe)) for candle in stored)
    return sorted(missed, key=lambda bar: (bar.end, bar.end - bar.begin, bar.symbol))
