"""Snapshots of order books, of those markets alone that somebody wants them of: over a connection of their own, so that whoever looks at
one disturbs no feed.

What is stored is the venue's own book, checked by its checksum where it sends one; a connection that is lost takes its books with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError

from signalist.clock import Clock
from signalist.domain.depth import Depth
from signalist.logs import logger
from signalist.markets import depth_books
from signalist.markets.depth_books import LEVELS, Shot
from signalist.markets.lines import Line
from signalist.markets.side_work import SideWork
from signalist.venues.market_data import (
    BookSnapshot,
    Channel,
    MarketData,
    Message,
    Standing,
    StreamState,
    Subscription,
    Trouble,
)

log = logger(__name__)

EVERY = 2.0
"""Seconds between two snapshots of one book, and between two looks at what is wanted."""

Routes = Callable[[], Mapping[str, Sequence[int]]]


class BookWatch:
    """Of one source. `troubled` is told what was wrong with what arrived."""

    def __init__(
        self,
        source: MarketData,
        clock: Clock,
        do: Callable[[Callable[[], Any]], Awaitable[Any]],
        routes: Routes,
        troubled: Callable[[Trouble], None],
    ) -> None:
        self._source, self._clock, self._do, self._routes, self._troubled = source, clock, do, routes, troubled
        self._symbols: list[str] = []
        self._line = SideWork()
        self._fresh: dict[str, tuple[datetime, Depth]] = {}

    async def keep(self) -> None:
        """Watch what is wanted, until cancelled."""
        try:
            while True:
                try:
                    await self.turn()
                except (OperationalError, InterfaceError) as error:
                    log.warning("order_books_not_stored", source=self._source.code, error=str(error).strip())
                await asyncio.sleep(EVERY)
        finally:
            await self._listen_to([])

    async def turn(self) -> None:
        """Look at what is wanted, and store what has changed since the last time."""
        routes, now = self._routes(), self._clock.now()
        symbols = await self._do(lambda: depth_books.wanted(routes, now))
        if symbols != self._symbols:
            await self._listen_to(symbols)
        fresh, self._fresh = self._fresh, {}
        shots = [Shot(routes[s], at, depth) for s, (at, depth) in sorted(fresh.items()) if routes.get(s)]
        if shots:
            await self._do(lambda: depth_books.store(shots))

    def hear(self, message: Message) -> None:
        """Something arrived."""
        match message:
            case BookSnapshot():
                at = message.at or self._clock.now()
                bids, asks = (
                    tuple((level.price, level.quantity) for level in side[:LEVELS])
                    for side in (message.bids, message.asks)
                )
                self._fresh[message.symbol] = at, Depth(bids, asks)
            case Trouble():
                self._fresh.pop(message.symbol, None)
                self._troubled(message)
            case StreamState(standing=Standing.LOST):
                self._fresh.clear()

    async def _listen_to(self, symbols: list[str]) -> None:
        await self._line.rest()
        self._symbols = symbols
        self._fresh.clear()
        if symbols:
            wanted = [Subscription(Channel.BOOK, symbol, depth=LEVELS) for symbol in symbols]
            line = Line(f"{self._source.code}/books", self._source, wanted, self.hear)
            self._line.begin({line.name: line.keep})
