"""The connections that are kept free for what protects: entries and reads together never take all of those to a venue."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from signalist.venues.transport.budgets import Priority


class Lanes:
    """`room` is for entries and reads: who does not find any waits, entries before reads, equals in turn. What protects never waits."""

    def __init__(self, room: int) -> None:
        self._room = max(room, 1)
        self._taken = 0
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def take_now(self, priority: Priority) -> bool:
        """Take one for a request if there is room for it; whether there is. It is given back in any case when the request is over."""
        if priority is Priority.PROTECTION:
            return True
        if self._taken >= self._room:
            return False
        self._taken += 1
        return True

    async def take(self, priority: Priority) -> None:
        """Wait for one, and take it."""
        if self.take_now(priority):
            return
        comes = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._numbers), comes))
        try:
            await comes
        except asyncio.CancelledError:
            if not comes.cancelled():
                self.give_back(priority)  # it came in the very turn in which it was given up
            raise

    def give_back(self, priority: Priority) -> None:
        """The request is over: the next one has its turn."""
        if priority is Priority.PROTECTION:
            return
        while self._waiting:
            comes = heapq.heappop(self._waiting)[2]
            if not comes.done():
                comes.set_result(None)
                return
        self._taken -= 1
