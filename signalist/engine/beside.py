"""Lets what has finished go on while one that takes long is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence

PATIENCE = 0.25
"""Seconds after which what the others have said goes on: longer than runs take, so that they usually go on together."""


async def go_on_beside(runs: Sequence[Coroutine[None, None, None]], go_on: Callable[[], Awaitable[None]]) -> None:
    """Make all of `runs`; while some take longer than PATIENCE, do `go_on` whenever others have finished since.

    Raises what a run raises, and ends with those that are still under way where it is itself given up.
    """
    making = [asyncio.ensure_future(run) for run in runs]
    together, done = asyncio.gather(*making), 0
    try:
        while not together.done():
            await asyncio.wait([together], timeout=PATIENCE)
            finished = sum(run.done() for run in making)
            if done < finished < len(making):
                done = finished
                await go_on()
        await together
    except BaseException:
        together.cancel()
        raise
