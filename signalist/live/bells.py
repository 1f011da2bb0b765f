"""How the tail hears that there may be something new in the log: PostgreSQL rings, on SQLite one looks often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from signalist.clock import monotonic
from signalist.db.lines import address
from signalist.events.outbox import CHANNEL
from signalist.live.pace import Pace
from signalist.live.threads import Threads

SHORTEST = 0.02

Bell = Callable[[bool], Awaitable[None]]
"""Waits until it is worth looking; told whether the last look found anything."""


@asynccontextmanager
async def bell(threads: Threads, pace: Pace) -> AsyncIterator[Bell]:
    """The bell of the database in use."""
    where = await threads.run(address)
    if where is None:
        yield lambda _found: asyncio.sleep(pace.poll)
        return
    # Outside Django's connections: it waits for hours, and nothing but the bell is heard on it.
    async with await psycopg.AsyncConnection.connect(**where, autocommit=True) as line:
        await line.execute(f"LISTEN {CHANNEL}")
        yield _Listening(line, pace).wait


class _Listening:
    """A bell may ring before what it is about can be read: while an older transaction is open. So one looks again, ever less often."""

    def __init__(self, line: psycopg.AsyncConnection[Any], pace: Pace) -> None:
        self._line, self._pace = line, pace
        self._doubtful_until = 0.0
        self._pause = SHORTEST

    async def wait(self, found: bool) -> None:
        if found:
            self._doubt()
        pause = self._pause if monotonic() < self._doubtful_until else self._pace.doubt
        rung = [True async for _ in self._line.notifies(timeout=pause, stop_after=1)]
        if rung:
            self._doubt()
            await asyncio.sleep(SHORTEST)  # what is written at the same moment is read with it
        else:
            self._pause = min(2 * self._pause, self._pace.doubt)

    def _doubt(self) -> None:
        self._doubtful_until, self._pause = monotonic() + self._pace.doubt, SHORTEST
