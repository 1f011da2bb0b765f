"""Tells the processes that show prices what a feed of this engine has just heard: at once, and then at most so many times a second.

A line of its own, outside Django's connections, and not flushed to disk: what a crash loses is in a row a second later. On SQLite nothing
is told, and pages look at the rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import psycopg

from signalist.clock import monotonic, utc_now
from signalist.db.lines import ALIVE, address
from signalist.logs import logger
from signalist.markets.board import Board, Quote
from signalist.markets.price_wire import CHANNEL, ToldPrice, payloads

log = logger(__name__)

GATHER = 0.015
"""Seconds between two tellings: what moves meanwhile goes together, each market at its newest."""
LOOK_AGAIN = 1.0
"""Seconds after which a quiet feed looks whether other markets are fed now."""
FIRST_PAUSE, LONGEST_PAUSE, STEADY = 0.5, 10.0, 30.0

Routes = Callable[[], Mapping[str, Sequence[int]]]
"""The ids of the instruments that each symbol of the board feeds now."""


class PriceTeller:
    """Tells what moves on a board."""

    def __init__(self, board: Board, routes: Routes) -> None:
        self._board, self._routes = board, routes

    async def keep(self) -> None:
        """Tell until cancelled; returns at once where the database does not notify."""
        where = await asyncio.to_thread(address)
        pause = FIRST_PAUSE
        while where is not None:
            begun = monotonic()
            try:
                async with await psycopg.AsyncConnection.connect(**where, **ALIVE, autocommit=True) as line:
                    await line.execute("SET synchronous_commit = off")
                    await self._tell(line)
            except (psycopg.Error, OSError) as error:
                log.warning("price_line_lost", error=str(error).strip(), again_in=pause)
            if monotonic() - begun > STEADY:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _tell(self, line: psycopg.AsyncConnection[object]) -> None:
        reader = self._board.follow(self._routes())
        try:
            while True:
                routes = self._routes()
                if reader.symbols != routes.keys():
                    self._board.change(reader, routes)
                try:
                    async with asyncio.timeout(LOOK_AGAIN):
                        news = await self._board.read(reader)
                except TimeoutError:
                    continue
                for payload in payloads(_told(news, routes)):
                    await line.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
                await asyncio.sleep(GATHER)
        finally:
            self._board.leave(reader)


def _told(news: Mapping[str, tuple[Quote, float]], routes: Mapping[str, Sequence[int]]) -> list[ToldPrice]:
    now, here = utc_now(), monotonic()
    return [
        ToldPrice(key, quote.price, quote.at, now - timedelta(seconds=here - since))
        for symbol, (quote, since) in news.items()
        for key in routes.get(symbol, ())
    ]
