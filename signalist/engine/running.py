"""Makes the runs of strategies that are due: claims them, asks the strategies in threads of their own, and stores what they said."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from signalist.clock import Clock, monotonic
from signalist.engine.database import Database
from signalist.engine.strategies import Answer, StrategyPool
from signalist.logs import logger
from signalist.markets.selectors import Shown
from signalist.sandbox.limits import RUN_THREADS
from signalist.sandbox.outcomes import Failed
from signalist.strategies import run as runs
from signalist.strategies.models import StrategyRun

log = logger(__name__)

PATIENCE = 0.25
"""Seconds for which runs are waited for: longer than they take, so that what they say usually goes on together."""
BEHIND = 10.0
"""Behind a run that has been under way for so many seconds nothing more is claimed: what waits for its thread would be too late."""


class Running:
    """Of one engine; `patient` as there. Another waits for its runs for PATIENCE only: those that take longer stay under way while
    everything else goes on, and `news` is called whenever one has ended."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        strategies: StrategyPool,
        *,
        patient: bool,
        news: Callable[[], None],
    ) -> None:
        self._database, self._clock, self._strategies = database, clock, strategies
        self._patient, self._news = patient, news
        self._workers = ThreadPoolExecutor(RUN_THREADS, thread_name_prefix="strategies")
        self._under_way: dict[int, tuple[asyncio.Task[None], float]] = {}

    async def adopt(self, engine: uuid.UUID, others: set[uuid.UUID]) -> None:
        """Make the runs that these engines had claimed and not finished, but for those that are under way here."""
        for run in await self._database(lambda: runs.take_over(engine, others, self._clock.now())):
            if run.pk in self._under_way:
                continue
            shown = await self._database(lambda run=run: self._strategies.window(run).at(run.candle_close))  # type: ignore[misc]
            if self._patient:
                await self.make(run, shown)
            else:
                self._begin(run, shown)

    async def due(self, engine: uuid.UUID) -> int:
        """Run every strategy that is due; returns how many runs were begun or finished. Raises what a run has raised, once."""
        ended = self._ended()
        if self._is_behind():
            return ended
        shown = await self._database(lambda: self._claimed(engine))
        if self._patient and len(shown) == 1:
            # Nothing else goes on meanwhile: two changes of threads would take longer than the strategy.
            run, candles = shown[0]
            await self._finish(run, self._strategies.answer(run, candles))
        elif self._patient:
            await asyncio.gather(*(self.make(run, candles) for run, candles in shown))
        elif begun := [self._begin(run, candles) for run, candles in shown]:
            await asyncio.wait(begun, timeout=PATIENCE)
            self._ended()
        return ended + len(shown)

    async def make(self, run: StrategyRun, shown: Shown | None) -> None:
        """Ask the strategy about what it is shown, and store what it says."""
        loop = asyncio.get_running_loop()
        await self._finish(run, await loop.run_in_executor(self._workers, self._strategies.answer, run, shown))

    async def end(self, within: float) -> None:
        """Give what is under way so many seconds, then give it up: whoever takes over makes it."""
        left = [task for task, _ in self._under_way.values()]
        if left:
            await asyncio.wait(left, timeout=within)
        for task in left:
            task.cancel()
        for told in await asyncio.gather(*left, return_exceptions=True):
            if isinstance(told, Exception):
                log.warning("strategy_run_not_stored", error=f"{type(told).__name__}: {told}")
        self._under_way.clear()

    def close(self) -> None:
        """End the strategies and the threads that ask them."""
        self._strategies.close()
        self._workers.shutdown(cancel_futures=True)

    def _begin(self, run: StrategyRun, shown: Shown | None) -> asyncio.Task[None]:
        task = asyncio.create_task(self.make(run, shown))
        self._under_way[run.pk] = task, monotonic()
        task.add_done_callback(lambda _: self._news())
        return task

    def _ended(self) -> int:
        """Let go of the runs that have ended; returns how many. Raises what one has raised; the others are let go of the next time."""
        done = [(key, task) for key, (task, _) in self._under_way.items() if task.done()]
        for key, task in done:
            del self._under_way[key]
            task.result()
        return len(done)

    def _is_behind(self) -> bool:
        begun = min((begun for _, begun in self._under_way.values()), default=None)
        return begun is not None and monotonic() - begun > BEHIND

    def _claimed(self, engine: uuid.UUID) -> list[tuple[StrategyRun, Shown | None]]:
        claimed = runs.claim(engine, self._clock.now())
        return [(run, self._strategies.window(run).at(run.candle_close)) for run in claimed]

    async def _finish(self, run: StrategyRun, answer: Answer) -> None:
        if isinstance(answer.outcome, Failed):
            log.warning("strategy_failed", run=run.pk, kind=answer.outcome.kind.value, message=answer.outcome.message)
        await self._database(lambda: runs.finish(run, answer.outcome, answer.reference, self._clock.now()))
