"""Makes the runs of strategies that are due: claims them, asks the strategies in threads of their own, and stores what they said."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from signalist.clock import Clock
from signalist.engine.beside import go_on_beside
from signalist.engine.database import Database
from signalist.engine.strategies import Answer, StrategyPool
from signalist.logs import logger
from signalist.markets.selectors import Shown
from signalist.sandbox.limits import RUN_THREADS
from signalist.sandbox.outcomes import Failed
from signalist.strategies import run as runs
from signalist.strategies.models import StrategyRun

log = logger(__name__)


class Running:
    """Of one engine; `patient` as there. `meanwhile` is what goes on beside runs that take their time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        strategies: StrategyPool,
        *,
        patient: bool,
        meanwhile: Callable[[], Awaitable[None]],
    ) -> None:
        self._database, self._clock, self._strategies = database, clock, strategies
        self._patient, self._meanwhile = patient, meanwhile
        self._workers = ThreadPoolExecutor(RUN_THREADS, thread_name_prefix="strategies")

    async def adopt(self, engine: uuid.UUID, others: set[uuid.UUID]) -> None:
        """Make the runs that these engines had claimed and not finished."""
        for run in await self._database(lambda: runs.take_over(engine, others)):
            shown = await self._database(lambda run=run: self._strategies.window(run).at(run.candle_close))  # type: ignore[misc]
            await self.make(run, shown)

    async def due(self, engine: uuid.UUID) -> int:
        """Run every strategy that is due; returns how many runs were finished."""
        shown = await self._database(lambda: self._claimed(engine))
        if self._patient and len(shown) == 1:
            # Nothing else goes on meanwhile: two changes of threads would take longer than the strategy.
            run, candles = shown[0]
            await self._finish(run, self._strategies.answer(run, candles))
        elif self._patient:
            await asyncio.gather(*(self.make(run, candles) for run, candles in shown))
        else:
            await go_on_beside([self.make(run, candles) for run, candles in shown], self._meanwhile)
        return len(shown)

    async def make(self, run: StrategyRun, shown: Shown | None) -> None:
        """Ask the strategy about what it is shown, and store what it says."""
        loop = asyncio.get_running_loop()
        await self._finish(run, await loop.run_in_executor(self._workers, self._strategies.answer, run, shown))

    def close(self) -> None:
        """End the strategies and the threads that ask them."""
        self._strategies.close()
        self._workers.shutdown()

    def _claimed(self, engine: uuid.UUID) -> list[tuple[StrategyRun, Shown | None]]:
        claimed = runs.claim(engine, self._clock.now())
        return [(run, self._strategies.window(run).at(run.candle_close)) for run in claimed]

    async def _finish(self, run: StrategyRun, answer: Answer) -> None:
        if isinstance(answer.outcome, Failed):
            log.warning("strategy_failed", run=run.pk, kind=answer.outcome.kind.value, message=answer.outcome.message)
        await self._database(lambda: runs.finish(run, answer.outcome, answer.reference, self._clock.now()))
