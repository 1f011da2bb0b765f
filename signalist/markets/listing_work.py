"""Hears a venue's own list of its markets, every few minutes and when somebody asks for it, where its prices are fed from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from django.db import InterfaceError, OperationalError

from signalist.clock import Clock, monotonic
from signalist.logs import logger, plain_words
from signalist.markets import listings
from signalist.markets.listings import Kept
from signalist.venues.errors import VenueError
from signalist.venues.market_data import MarketData, MarketNews

log = logger(__name__)

EVERY = 300.0
"""Seconds between two lists: a venue that halts a market says so in its list before anybody else tells us."""
AGAIN = 60.0
"""Seconds to the next try where it did not answer."""
LOOK_EVERY = 2.0
"""Seconds between two looks at whether somebody asks for it."""
TOLD = 20


class ListingKeeper:
    """Of one source. `do` runs plain functions in the engine's database thread."""

    def __init__(self, source: MarketData, clock: Clock, do: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._source, self._clock, self._do = source, clock, do
        self._due = 0.0
        self._news: dict[str, MarketNews] = {}
        self._rules: dict[str, tuple[Decimal, ...]] = {}

    def told(self, news: MarketNews) -> None:
        """The venue's stream tells what may be done in a market: that is believed within seconds. Of rules that change it does not tell
        all: the list is heard anew."""
        self._news[news.symbol] = news
        if self._rules.setdefault(news.symbol, news.rules) != news.rules:
            self._rules[news.symbol], self._due = news.rules, 0.0

    async def keep(self) -> None:
        """Hear the list whenever it is time, until cancelled."""
        while True:
            try:
                if self._news:
                    await self._believe()
                if monotonic() >= self._due or await self._do(lambda: listings.is_asked_for(self._source.code)):
                    await self.hear()
            except (OperationalError, InterfaceError) as error:
                log.warning("listing_not_stored", source=self._source.code, error=str(error).strip())
                self._due = monotonic() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)

    async def _believe(self) -> None:
        """Store what the stream told of markets."""
        code, news = self._source.code, dict(self._news)
        said = {symbol: each.trading for symbol, each in news.items()}
        changed = await self._do(lambda: listings.keep_trading(code, said, self._clock.now()))
        self._news = {symbol: each for symbol, each in self._news.items() if news.get(symbol) is not each}
        if changed:
            log.warning("markets_changed", source=code, trading={symbol: said[symbol].value for symbol in changed})

    async def hear(self) -> Kept | None:
        """Ask for the list now and store it; None where the venue did not tell it."""
        code = self._source.code
        self._due = monotonic() + AGAIN
        try:
            specs = await self._source.instruments()
        except VenueError as error:
            why = plain_words(f"{error.code}: {error}")
            await self._do(lambda: listings.not_heard(code, why, self._clock.now()))
            return None
        if not specs:
            # It has no list of its own, and an empty one says nothing of those that we know; but who has asked for it is answered.
            await self._do(lambda: listings.not_heard(code, "It names no markets.", self._clock.now()))
            self._due = monotonic() + EVERY
            return None
        kept: Kept = await self._do(lambda: listings.keep_listing(code, specs, self._clock.now()))
        self._due = monotonic() + EVERY
        if kept.changed or kept.gone or kept.problem:
            changed = sorted(kept.changed)[:TOLD]
            log.warning("markets_changed", source=code, changed=changed, gone=kept.gone[:TOLD], problem=kept.problem)
        return kept
