"""Numbers that only ever grow, one row of them for each credential, over restarts and processes.

A venue that wants a nonce refuses any that is not above the last it has seen, and locks keys out that try too often. So a block of
numbers is put on record before its first is used: a process that dies leaves a gap, never a repetition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

BLOCK = 10_000_000
"""Microseconds: how far ahead of the clock numbers are put on record."""

Reserve = Callable[[str, int, int], Awaitable[int]]
"""`await reserve(credential, at_least, block)` puts a block on record and returns its first number, which is `at_least` or above
everything that was on record. Who else reserves gets another block."""


class Nonces:
    """Nonces of this process, in microseconds of `wall_clock`, which is seconds since the epoch."""

    def __init__(self, reserve: Reserve, wall_clock: Callable[[], float], block: int = BLOCK) -> None:
        self._reserve, self._wall_clock, self._block = reserve, wall_clock, block
        self._next: dict[str, int] = {}
        self._end: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def one_caller(self, credential: str) -> asyncio.Lock:
        """Held from taking a nonce until its request has been answered: requests that overtake each other arrive in the wrong order."""
        return self._locks.setdefault(credential, asyncio.Lock())

    async def take(self, credential: str) -> int:
        """The next nonce: above all that were taken for this credential, by anybody."""
        wanted = max(int(self._wall_clock() * 1_000_000), self._next.get(credential, 0))
        if wanted >= self._end.get(credential, 0):
            wanted = await self._reserve(credential, wanted, self._block)
            self._end[credential] = wanted + self._block
        self._next[credential] = wanted + 1
        return wanted

    def forget(self, credential: str) -> None:
        """The venue has seen a higher one: the next begins a block of its own."""
        self._end.pop(credential, None)
