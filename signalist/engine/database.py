"""The engine's door to the database: plain functions in threads of their own, each behind `across_tenants("engine")`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import TypeVar

from django.db import InterfaceError, InternalError, OperationalError, close_old_connections, connection, connections

from signalist.clock import monotonic
from signalist.db import here
from signalist.db.connections import patient, took_too_long
from signalist.execution.engines import MAY_SEND
from signalist.logs import logger
from tenants.doors import across_tenants

T = TypeVar("T")

TRIES = 5
RETRY_AFTER = 0.2
STUCK_AFTER = 6.0
"""Seconds after which a try of a unit that has not ended is taken to hang, where the engine shows beside it that it lives: it gives up
what it holds there and then, and others take it at their next look. Waiting for a lock ends a try before that."""
LONG = MAY_SEND / 2
"""Seconds that a unit should never take: where there is one writer (SQLite), the heartbeat waits behind it, and after `MAY_SEND` without
one nothing leaves the house."""

log = logger(__name__)


class Database:
    """One thread with one connection, in which units run one after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._begun: float | None = None

    async def __call__(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, function)

    def beside(self) -> Database:
        """A door for what must not wait behind a long unit: a thread and a connection of its own, where the database has room for two
        writers, and else this one."""
        return Database() if connection.vendor == "postgresql" else self

    @property
    def is_stuck(self) -> bool:
        """Whether a unit has been under way for so long that it will hardly end."""
        begun = self._begun
        return begun is not None and monotonic() - begun > STUCK_AFTER

    def close(self) -> None:
        """Close the thread and its connection, after what is under way there."""
        self._thread.submit(connections.close_all).result()
        self._thread.shutdown()

    def _timed(self, function: Callable[[], T]) -> T:
        begun = monotonic()

        def tried() -> T:
            self._begun = monotonic()
            return function()

        try:
            return behind_the_door(tried)
        finally:
            self._begun = None
            if (took := monotonic() - begun) > LONG:
                log.warning("database_unit_long", seconds=round(took, 1), unit=getattr(function, "__qualname__", ""))


class DatabaseInline(Database):
    """The same door without a thread, for a replay at full speed: there is nothing else that the loop could do meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        # Django refuses synchronous queries under a running loop, because they would block it: here that is the point.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

    async def __call__(self, function: Callable[[], T]) -> T:
        return behind_the_door(function)

    def beside(self) -> Database:
        """This one: nothing goes on beside a replay."""
        return self

    def close(self) -> None:
        """Nothing to close: the connection belongs to the command's own thread."""
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


def behind_the_door(function: Callable[[], T]) -> T:
    """Run `function`, and once more where the database gave up (a lost connection, a deadlock): a unit is repeated from its rows. One
    whose statement took too long is given twice the time, so that what is merely slow comes to its end."""
    patience = 1
    with here.Holding() as held:
        for left in reversed(range(TRIES)):
            if held.errors_occurred:
                close_old_connections()  # a connection that broke is replaced; asking a sound one each time costs a round trip
            try:
                with across_tenants("engine"), patient(patience):
                    return function()
            except (OperationalError, InterfaceError, InternalError) as error:
                # InternalError is what a connection says that the server has ended because its transaction stood still (25P03).
                if not left:
                    raise
                patience *= 2 if took_too_long(error) else 1
                log.warning("database_unit_repeated", error=str(error).strip(), left=left)
                sleep(RETRY_AFTER)
    raise AssertionError("unreachable")
