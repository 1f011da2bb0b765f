"""The engine's look at what was missed: at its start and every few seconds it finds gaps, asks strategies what they would have said in
them, and has each follower's choice carried out."""

from __future__ import annotations

import asyncio

from signalist.engine.loop import Engine
from signalist.execution.missed import answer_gaps
from signalist.logs import logger
from signalist.strategies import gaps

log = logger(__name__)

PATIENCE = 1.0
"""Seconds for which a look is waited for: most are over by then, and who wants to be asked after an outage takes no entry from it on."""


class Looking:
    """Beside one engine: looks that take longer than PATIENCE, because strategies do, go on while the engine works."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._look: asyncio.Task[int] | None = None

    async def look(self, *, stored_only: bool = False) -> None:
        """Begin a look, or go on with the one that is under way. Raises what it has raised."""
        if self._look is None:
            self._look = asyncio.create_task(look_for_missed(self._engine, stored_only=stored_only))
        await asyncio.wait({self._look}, timeout=PATIENCE)
        if self._look.done():
            ended, self._look = self._look, None
            ended.result()

    async def end(self) -> None:
        """Give up a look that is under way: what was not answered is found again."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.wait({self._look})
            self._look = None


async def look_for_missed(engine: Engine, *, stored_only: bool = False) -> int:
    """Find, judge and answer; returns how many subscriptions had missed something. For `stored_only` see `gaps.find`."""
    clock, database = engine.clock, engine.database
    if found := await database(lambda: gaps.find(clock.now(), stored_only=stored_only)):
        log.warning("candles_missed", gaps=found)
    judged = await database(lambda: gaps.to_judge(clock.now()))
    answered = 0
    for gap, arrays in judged:
        answer = await asyncio.to_thread(engine.strategies.would_have_said, gap.schedule.version, arrays)
        await database(lambda gap=gap, arrays=arrays, answer=answer: gaps.judge(gap, arrays, answer, clock.now()))  # type: ignore[misc]
        # Each at once: the next strategy may take its time.
        answered += await database(lambda: answer_gaps(clock.now()))
    return answered + await database(lambda: answer_gaps(clock.now()))
