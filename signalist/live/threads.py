"""A few threads of our own for work on the database: whole functions, each on a connection that stays in its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """`size` threads; work goes to the one with the least to do. Unlike in one pool, each thread's connection can be closed."""

    def __init__(self, name: str, size: int) -> None:
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=f"{name}-{n}") for n in range(size)]
        self._busy = [0] * size

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `work` returns or raises."""
        chosen = self._busy.index(min(self._busy))
        self._busy[chosen] += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads[chosen], lambda: _whole(work, *args, **kwargs))
        finally:
            self._busy[chosen] -= 1

    def close(self) -> None:
        """Wait for the work at hand, then close connections and threads."""
        for thread in self._threads:
            thread.submit(connections.close_all)
        for thread in self._threads:
            thread.shutdown()


def _whole(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `work` as a request would be run: what failed does not leave its connection to the next one."""
    try:
        return work(*args, **kwargs)
    except BaseException:
        connections.close_all()
        raise
    finally:
        # Opening an SQLite file costs more than most queries, so there a connection lives as long as its thread; one to
        # PostgreSQL goes back to the pool.
        if connections["default"].vendor != "sqlite":
            close_old_connections()
