"""Numbers that only ever grow, for each credential of a venue, over restarts and processes; and one request at a time that carries one.

A venue that wants a nonce refuses any that is not above the last it has seen, and locks keys out that try too often. So a block of
numbers is put on record before its first is used: a process that dies leaves a gap, never a repetition. A block begins at the clock's
microseconds, or above all that is on record where that is more, and is used up one by one, so that numbers stay close to the clock.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Protocol

from signalist.venues.transport.budgets import Priority

BLOCK = 1000
"""So many numbers are put on record at once."""

Reserve = Callable[[Mapping[str, int], int], Awaitable[Mapping[str, int]]]
"""`await reserve({credential: at_least}, block)` puts a block on record for each and returns its first number, which is `at_least` or
above everything that was on record. Who else reserves gets another block. Raises NotSent where nothing can be put on record now."""


class NonceSource(Protocol):
    """The nonces of one credential, as a session uses them: ask for a source of its own whenever an account is opened."""

    def turn(self, priority: Priority) -> AbstractAsyncContextManager[int]:
        """`async with source.turn(priority) as nonce`: held until the request was answered, because requests that overtake each other
        arrive in the wrong order. One caller at a time; of those that wait, what matters more goes first. Raises NotSent."""
        ...

    def renew(self) -> None:
        """The venue has seen a higher one ("invalid nonce"): the next begins a block of its own."""
        ...


class Nonces:
    """What one process takes, in microseconds of `wall_clock`, which is seconds since the epoch. Blocks that are wanted in the same turn
    of the loop are put on record together."""

    def __init__(self, reserve: Reserve, wall_clock: Callable[[], float], block: int = BLOCK) -> None:
        self._reserve, self._wall_clock, self._block = reserve, wall_clock, block
        self._wanted: dict[str, int] = {}
        self._asking: asyncio.Task[Mapping[str, int]] | None = None

    def of(self, credential: str) -> NonceSource:
        """A source that begins a block of its own, above all that anybody has taken for this credential."""
        return _Source(self, credential)

    async def block_of(self, credential: str, above: int) -> range:
        """The next block on record: `above` or more."""
        at_least = max(int(self._wall_clock() * 1_000_000), above)
        if credential in self._wanted:  # two sources of one credential: each has a block of its own
            self._asking = None
            self._wanted = {}
        self._wanted[credential] = at_least
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(self._wanted))
        # Who gives up waiting takes nothing away from the others.
        first = (await asyncio.shield(self._asking))[credential]
        return range(first, first + self._block)

    async def _ask(self, wanted: dict[str, int]) -> Mapping[str, int]:
        await asyncio.sleep(0)
        if self._wanted is wanted:
            self._wanted, self._asking = {}, None
        return await self._reserve(wanted, self._block)


class _Source:
    """See NonceSource."""

    def __init__(self, nonces: Nonces, credential: str) -> None:
        self._nonces, self._credential = nonces, credential
        self._block = iter(range(0))
        self._last = 0
        self._taken = False
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[int]:
        await self._my_turn(priority)
        try:
            yield await self._next()
        finally:
            self._pass_on()

    def renew(self) -> None:
        self._block = iter(range(0))

    async def _next(self) -> int:
        number = next(self._block, None)
        if number is None:
            self._block = iter(await self._nonces.block_of(self._credential, self._last + 1))
            number = next(self._block)
        self._last = number
        return number

    async def _my_turn(self, priority: Priority) -> None:
        if not self._taken:
            self._taken = True
            return
        comes = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._numbers), comes))
        try:
            await comes
        except asyncio.CancelledError:
            if not comes.cancelled():
                self._pass_on()  # it came in the very turn in which it was given up
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            comes = heapq.heappop(self._waiting)[2]
            if not comes.done():
                comes.set_result(None)
                return
        self._taken = False
