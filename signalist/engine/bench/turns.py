"""Drives one real engine over a venue that is not the paper venue, turn by turn, as the lasting engine does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from signalist.accounts.sessions import Sessions
from signalist.clock import SystemClock, monotonic
from signalist.engine.database import Database
from signalist.engine.listening import Listening
from signalist.engine.live import HEARTBEAT_EVERY, POLL_EVERY, SWEEP_EVERY, TAKE_OVER_EVERY
from signalist.engine.loop import Engine
from signalist.engine.strategies import StrategyPool
from signalist.venues.loopback.venue import LOOPBACK, LoopbackVenue


class Statements:
    """Counts the statements of this process's connections."""

    def __init__(self) -> None:
        self.count = 0
        connection_created.connect(self._attach, weak=False)

    def reset(self) -> None:
        """Count anew, also on the connection that the calling thread has already."""
        self.count = 0
        self._attach(None, connections["default"])

    def _attach(self, sender: object, connection: Any, **_: Any) -> None:
        if self._counted not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._counted)

    def _counted(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


class Turns:
    """An engine at work until it is stopped."""

    def __init__(self, venue: LoopbackVenue) -> None:
        self.database = Database()
        # No real money: the venue is a process of this machine that ends with the benchmark.
        sessions = Sessions({LOOPBACK: venue}, paper=frozenset({LOOPBACK}))
        self.engine = Engine(sessions, SystemClock(), self.database, StrategyPool(), patient=False)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Enter the list of engines, hear the venue out, and go to work."""
        await self.engine.start()
        loop, ear = asyncio.get_running_loop(), Listening(self.engine.wakes, self.engine.news.set)
        self._tasks = [loop.create_task(work) for work in (self._work(), self._beat(), ear.listen())]

    def check(self) -> None:
        """Raise what the engine died of, if it did."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def stop(self) -> None:
        """Stop after the work at hand."""
        self._stopping.set()
        if self._tasks:
            working, *beside = self._tasks
            for task in beside:
                task.cancel()
            await asyncio.wait([working, *beside])
        await self.engine.stop()

    async def _work(self) -> None:
        engine, sweep_at, take_over_at = self.engine, 0.0, 0.0
        while not self._stopping.is_set():
            now = monotonic()
            if now >= sweep_at:
                sweep_at = now + SWEEP_EVERY
                await engine.watch()
                await engine.poll()
            if now >= take_over_at:
                take_over_at = now + TAKE_OVER_EVERY
                await engine.take_over()
            await engine.drain()
            if await engine.run_due():
                await engine.drain()
            await self._pause()

    async def _pause(self) -> None:
        """Wait until a venue has answered, or for the next look at the rows."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.engine.news.wait(), POLL_EVERY)
        self.engine.news.clear()

    async def _beat(self) -> None:
        while True:
            await self.engine.heartbeat()
            await asyncio.sleep(HEARTBEAT_EVERY)
