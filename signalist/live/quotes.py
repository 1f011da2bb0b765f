"""Newest prices on their way to pages, past the rows: heard on PostgreSQL's wire from whoever feeds, sent to each page for what it shows.

A page is sent what moved of the markets that it follows, each at its newest, at once after a pause and then at most every `Pace.quotes`;
what is sent depends on how many markets it follows, never on how fast they move. A slow reader gets the newest when it reads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from decimal import Decimal

import psycopg

from signalist.clock import monotonic, utc_now
from signalist.db.lines import ALIVE, address
from signalist.display.last_price import last_price
from signalist.live.pace import Pace
from signalist.live.sockets import YIELD_EVERY, Socket
from signalist.live.threads import Threads
from signalist.live.wire import Frame
from signalist.logs import logger
from signalist.markets.newest import newest_prices
from signalist.markets.overview import FRESH_WITHIN
from signalist.markets.price_wire import CHANNEL, ToldPrice, prices_of
from signalist.markets.selectors import instruments

log = logger(__name__)

MOST_EACH = 200
"""Markets that one page may follow."""
HEARD_LATELY = 5.0
"""Seconds within which a market was told of here, so that nobody need look at its row."""

Shape = tuple[Decimal, str]


class Quotes:
    """Who follows which markets, and what they have not been sent yet. `written` is told of each price that is sent how long before it,
    or the first of those that it stands for, was read from its venue."""

    def __init__(self, threads: Threads, pace: Pace) -> None:
        self._threads, self._pace = threads, pace
        self._told: dict[int, ToldPrice] = {}
        self._told_at: dict[int, float] = {}
        self._looks: dict[int, str] = {}
        self._shapes: dict[int, Shape] = {}
        self._followers: dict[int, set[Socket]] = {}
        self._follows: dict[Socket, frozenset[int]] = {}
        self._owed: dict[Socket, dict[int, ToldPrice]] = {}
        self._moved = asyncio.Event()
        self.most_each = MOST_EACH
        self.written: Callable[[timedelta], None] = lambda _: None

    # --- Who follows what ------------------------------------------------------------------------

    async def follow(self, socket: Socket, instrument_ids: Collection[int]) -> None:
        """The page shows the prices of these markets now; what is known of them is sent."""
        wanted = frozenset(sorted(instrument_ids)[: self.most_each])
        if wanted:
            self._take(await self._threads.run(_shapes, wanted))
        if socket.closing.done() or not socket.is_there:
            return
        self.leave(socket)
        self._follows[socket] = wanted & self._shapes.keys()
        for key in self._follows[socket]:
            self._followers.setdefault(key, set()).add(socket)
        self._owed[socket] = {key: self._told[key] for key in self._follows[socket] if key in self._told}
        self._moved.set()

    def _take(self, shapes: dict[int, Shape]) -> None:
        """What is drawn from now on has these; a venue may have changed its steps."""
        for key in [key for key, shape in shapes.items() if self._shapes.get(key) != shape]:
            self._shapes[key] = shapes[key]
            self._looks.pop(key, None)

    def leave(self, socket: Socket) -> None:
        """The page is closed, or follows others."""
        for key in self._follows.pop(socket, ()):
            self._followers[key].discard(socket)
            if not self._followers[key]:
                del self._followers[key]
        self._owed.pop(socket, None)

    def is_followed_by(self, socket: Socket) -> bool:
        """Whether the page has said which markets it shows."""
        return socket in self._follows

    def cover(self, instrument_ids: Collection[int]) -> bool:
        """Whether all of these were told of lately, so that whoever follows them has their prices from here."""
        here = monotonic()
        return all(here - self._told_at.get(key, -HEARD_LATELY) < HEARD_LATELY for key in instrument_ids)

    # --- What is heard ---------------------------------------------------------------------------

    async def listen(self) -> None:
        """Hear what feeds tell, until cancelled; nothing where the database does not notify. Raises what the database raises."""
        where = await self._threads.run(address)
        if where is None:
            await asyncio.Event().wait()
            return
        async with await psycopg.AsyncConnection.connect(**where, **ALIVE, autocommit=True) as line:
            await line.execute(f"LISTEN {CHANNEL}")
            async for heard in line.notifies():
                self.heard(heard.payload)

    def heard(self, payload: str) -> None:
        """Take what a feed tells."""
        try:
            prices = prices_of(payload)
        except ValueError as error:
            log.warning("prices_not_understood", error=str(error)[:200])
            return
        now = monotonic()
        for told in prices:
            if not newest_prices.put(told.instrument_id, told.price, told.at):
                continue
            self._told[told.instrument_id], self._told_at[told.instrument_id] = told, now
            self._looks.pop(told.instrument_id, None)
            for socket in self._followers.get(told.instrument_id, ()):
                self._owed[socket].setdefault(told.instrument_id, told)
                self._moved.set()

    # --- What is sent ----------------------------------------------------------------------------

    async def send(self) -> None:
        """Send what moved, at the pace, until cancelled."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            for number, (socket, owed) in enumerate(list(self._owed.items()), 1):
                if owed and socket.visible:
                    self._give(socket, owed)
                if number % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(self._pace.quotes)

    def _give(self, socket: Socket, owed: dict[int, ToldPrice]) -> None:
        if self._owed.get(socket) is not owed:
            return  # it left meanwhile, or follows others
        if socket.wire.waiting():
            self._moved.set()  # it is looked at again, and gets the newest then
            return
        self._owed[socket] = {}
        socket.tell(Frame("".join(self._look(key) for key in owed)))
        now = utc_now()
        for first in owed.values():
            self.written(now - first.heard)

    def _look(self, key: int) -> str:
        """The price as pages show it; drawn once for all who follow it."""
        look = self._looks.get(key)
        if look is None:
            told, (tick, unit) = self._told[key], self._shapes[key]
            age = utc_now() - told.at
            look = last_price(key, told.price, tick, unit, told.at, age if age > FRESH_WITHIN else None, oob=True)
            self._looks[key] = look
        return look

    def stop(self) -> None:
        """Nobody listens any more: what was heard is not the newest for long."""
        newest_prices.forget()


def _shapes(instrument_ids: frozenset[int]) -> dict[int, Shape]:
    """The tick and the quote currency of each. One query, none where they were read within the minute."""
    known = instruments(instrument_ids)
    return {key: (known[key].tick, known[key].quote) for key in instrument_ids if key in known}
