"""What a feed does beside its rounds: each work goes on until it is told to rest, and one that breaks is said so and begun anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from signalist.logs import logger

log = logger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]
AGAIN = 1.0
"""Seconds after which a work that broke is begun anew."""


class SideWork:
    """The works of one feed. A feed whose work had ended unseen would look alive and be silent."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, works: Mapping[str, Work]) -> None:
        """Do these, by name, until `rest`."""
        self._tasks += [asyncio.create_task(_steadily(name, work)) for name, work in works.items()]

    async def rest(self) -> None:
        """End all of them."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _steadily(name: str, work: Work) -> None:
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # whatever broke it, the others and the next try go on
            log.error("feed_work_broke", work=name, error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(AGAIN)
