"""Keeps a background task going: what fails is logged and begun again after a pause that grows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from signalist.clock import monotonic
from signalist.logs import logger

log = logger(__name__)

MOST_PAUSES = 5


async def supervised(name: str, work: Callable[[], Awaitable[None]], pause: float) -> None:
    """Run `work` for ever. `pause`: seconds before the first new beginning; one that ran for a minute begins afresh."""
    failures = 0
    while True:
        began = monotonic()
        try:
            await work()
        except Exception as error:  # noqa: BLE001 whatever it was, the next try may go well, and pages wait for it
            failures = 1 if monotonic() - began > 60 else failures + 1
            log.warning("live_task_failed", task=name, failures=failures, error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(pause * min(max(failures, 1), MOST_PAUSES))
