"""What a feed does where no stream tells it prices: it asks its sources in turn, and says which of them each market's price is from.

The order: the venue's own request of all tickers, the other sources that this installation has, and at last what is stored here, which is
shown as stale and counts as no news.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError

from signalist.clock import Clock
from signalist.logs import logger, plain_words
from signalist.markets import price_books
from signalist.markets.batch_prices import KEPT, BatchPrices, Successes
from signalist.markets.feed_models import FeedSource, PriceSource
from signalist.markets.hearing import Ear
from signalist.markets.selectors import latest_prices
from signalist.venues.market_data import MarketLimits, TellsPrices, Ticker

log = logger(__name__)

STORED = "stored"
EVERY = KEPT
Routes = Callable[[], Mapping[str, Sequence[int]]]
Do = Callable[[Callable[[], Any]], Awaitable[Any]]


class StoredPrices:
    """The newest prices that are stored here, as the last source. What the database does not tell is missing."""

    code = STORED
    limits = MarketLimits(frozenset(), page=0)

    def __init__(self, do: Do, routes: Routes) -> None:
        self._do, self._routes = do, routes

    async def close(self) -> None:
        pass

    async def tickers(self, symbols: Collection[str] | None = None) -> Mapping[str, Ticker]:
        keys = {s: ids[0] for s, ids in self._routes().items() if ids and (symbols is None or s in symbols)}
        try:
            known = await self._do(lambda: latest_prices(keys.values()))
        except (OperationalError, InterfaceError) as error:
            log.warning("stored_prices_not_read", error=str(error).strip())
            return {}
        return {symbol: Ticker(symbol, *known[key]) for symbol, key in keys.items() if key in known}


class Asking:
    """Of one feed."""

    def __init__(self, sources: Sequence[TellsPrices], ear: Ear, clock: Clock, do: Do, routes: Routes) -> None:
        self._stored = StoredPrices(do, routes)
        self.batch = BatchPrices(sources, self._stored)
        self._ear, self._clock, self._do = ear, clock, do
        self._rows: list[PriceSource] = []
        self._began: dict[str, Successes] = {}
        self._shown: list[tuple[int, int]] = []

    def begin(self, row: FeedSource) -> None:
        """Go on with the counts that are stored, also those of an engine that fed meanwhile. For the database's thread."""
        self._rows = price_books.sources_of(row, [source.code for source in self.batch.sources])
        for each in self._rows:
            began, mine = self._began.get(each.code), self.batch.successes.get(each.code, Successes())
            if began is None or began.requests + mine.requests < each.requests:
                self._began[each.code] = price_books.counted(each, mine)

    async def keep(self) -> None:
        """Ask whenever a stream is away; once at the beginning, too, with what is stored in mind. Until cancelled."""
        for ticker in (await self._stored.tickers()).values():
            self._ear.remembers(ticker)
        while True:
            silent = self._ear.silent_symbols()
            if silent:
                await self.ask(silent)
            await asyncio.sleep(EVERY)

    async def ask(self, symbols: Sequence[str]) -> None:
        """Ask for these markets' prices now."""
        said = await self.batch.prices(symbols)
        for symbol, ticker in said.tickers.items():
            if said.of[symbol] == STORED:
                self._ear.fell_back(symbol, STORED)
            else:
                self._ear.priced(ticker, said.of[symbol])

    def news(self) -> list[PriceSource]:
        """The rows of the sources as they should stand now; none where nobody was asked since the last time."""
        shown = [(counts.requests, counts.got) for counts in self.batch.successes.values()]
        if shown == self._shown:
            return []
        self._shown = shown
        for row in self._rows:
            if (counts := self.batch.successes.get(row.code)) is not None:
                price_books.count(row, self._began.get(row.code, Successes()), counts, self._clock.now())
                row.last_error = plain_words(row.last_error)[:200]
        return self._rows
