"""Follows the event log in commit order, one tail per web process, and reads the newest prices with it.

What it has read it hands on, in order, each event once. What fails is begun again by its supervisor at the place that was reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from signalist.clock import monotonic
from signalist.events import tail as events
from signalist.events.models import Event
from signalist.events.tail import Cursor
from signalist.live.bells import bell
from signalist.live.pace import Pace
from signalist.live.threads import Threads
from signalist.markets.models import LatestPrice
from tenants.doors import across_tenants

PURPOSE = "live"
AT_ONCE = 500

Prices = list[tuple[Any, ...]]


class Listener(Protocol):
    """Who is told. Called in the event loop, in the order of the log."""

    def events_happened(self, happened: Sequence[tuple[Event, Cursor]]) -> None:
        """These happened; with each comes the place in the log before it."""
        ...

    def prices_moved(self, instrument_ids: frozenset[int]) -> None:
        """The newest prices of these are others than before."""
        ...

    def wants_prices(self) -> bool:
        """Whether anybody looks at prices now."""
        ...


def place(text: str) -> Cursor | None:
    """A place in the log as a page names it, `xid-id`; None for anything else, and for the beginning, where it knows nothing."""
    xid, _, number = text.partition("-")
    good = len(text) < 40 and all(part.isascii() and part.isdigit() for part in (xid, number))
    found = Cursor(int(xid), int(number)) if good else Cursor()
    return None if found == Cursor() else found


def name_of(position: Cursor) -> str:
    """The place as a page names it."""
    return f"{position.xid}-{position.id}"


class Tail:
    """The tail. `position` is how far the log was read, `began` where this tail began, `oldest` where what is kept begins."""

    def __init__(self, listener: Listener, threads: Threads, pace: Pace) -> None:
        self._listener, self._threads, self._pace = listener, threads, pace
        self.position = self.began = self.oldest = Cursor()
        self.read_at = monotonic()
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the place is known from which on nothing is missed."""
        await self._ready.wait()

    async def follow(self) -> None:
        """Follow the log until cancelled. Raises what the database raises; called again, it goes on where it was."""
        async with bell(self._threads, self._pace) as rung:
            self.oldest, newest = await self._threads.run(_ends)
            if not self._ready.is_set():
                self.position = self.began = newest
                self._ready.set()
            while True:
                found = await self._read()
                if found < AT_ONCE:
                    await rung(found > 0)

    async def follow_prices(self) -> None:
        """Look at the newest prices while anybody wants them. The first look counts as a move: a page may have been rendered before it."""
        known: Prices | None = None
        while True:
            await asyncio.sleep(self._pace.prices)
            if not self._listener.wants_prices():
                known = None
                continue
            before, known = known, await self._threads.run(_prices)
            if known != before:
                self._listener.prices_moved(frozenset(row[0] for row in {*known}.symmetric_difference(before or ())))

    async def look_at_the_end(self) -> None:
        """Learn again where what is kept of the log begins."""
        self.oldest, _ = await self._threads.run(_ends)

    async def _read(self) -> int:
        before = self.position
        found, behind = await self._threads.run(_read, before)
        self.position, self.read_at = behind, monotonic()
        if found:
            places = [before, *(Cursor(event.xid, event.pk) for event in found)]
            self._listener.events_happened(list(zip(found, places, strict=False)))
        return len(found)


def _read(after: Cursor) -> tuple[list[Event], Cursor]:
    with across_tenants(PURPOSE):
        return events.read(after, AT_ONCE)


def _ends() -> tuple[Cursor, Cursor]:
    with across_tenants(PURPOSE):
        return events.ends()


def _prices() -> Prices:
    return list(LatestPrice.objects.order_by("instrument_id").values_list("instrument_id", "price", "at"))
