"""The engine's look at what was missed: at its start and every few seconds it finds gaps, asks strategies what they would have said in
them, and has each follower's choice carried out."""

from __future__ import annotations

import asyncio

from signalist.engine.loop import Engine
from signalist.execution.missed import answer_gaps
from signalist.logs import logger
from signalist.strategies import gaps

log = logger(__name__)


async def look_for_missed(engine: Engine, *, stored_only: bool = False) -> int:
    """Find, judge and answer; returns how many subscriptions had missed something. For `stored_only` see `gaps.find`."""
    clock, database = engine.clock, engine.database
    if found := await database(lambda: gaps.find(clock.now(), stored_only=stored_only)):
        log.warning("candles_missed", gaps=found)
    judged = await database(lambda: gaps.to_judge(clock.now()))
    for gap, arrays in judged:
        answer = await asyncio.to_thread(engine.strategies.would_have_said, gap.schedule.version, arrays)
        await database(lambda gap=gap, arrays=arrays, answer=answer: gaps.judge(gap, arrays, answer, clock.now()))  # type: ignore[misc]
    return await database(lambda: answer_gaps(clock.now()))
