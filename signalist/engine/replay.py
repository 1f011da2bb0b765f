"""Replays recorded candles through the whole pipeline on the paper venue, at full speed, with market time as the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from signalist.clock import monotonic
from signalist.domain.candles import Candle
from signalist.engine.recorded import Recorded
from signalist.engine.replay_cast import Cast, Plan, set_up
from signalist.engine.replay_report import Observed, report
from signalist.engine.stepping import Stepper
from signalist.venues.paper.matching_desk import Terms

HEARTBEAT_EVERY = 500


class Replay:
    """A replay in progress."""

    def __init__(self, plan: Plan, candles: Sequence[Candle], progress: Callable[[str], None]) -> None:
        self._plan, self._candles, self._progress = plan, candles, progress
        self._stepper = Stepper(candles[0].close_time - plan.frame.length, Terms(seed=plan.seed), progress)

    async def run(self) -> dict[str, object]:
        """Replay everything and report. Raises ReplayError before anything has begun."""
        stepper = self._stepper
        try:
            cast: Cast = await stepper.database(lambda: set_up(self._plan, self._candles))
            recorded = Recorded(self._plan, self._candles, cast)
            await stepper.database(stepper.market.refresh)
            done = await stepper.database(recorded.stored)
            if done:
                self._progress(f"going on after {self._candles[done - 1].close_time:%Y-%m-%d %H:%M}")
            await stepper.start(recorded.bars(done - 1) if done else ())
            begun = monotonic()
            for index in range(done, len(self._candles)):
                await stepper.step(recorded.bars(index))
                if index % HEARTBEAT_EVERY == 0:
                    await stepper.engine.heartbeat()
                    self._tell(index, begun, done)
            seconds = monotonic() - begun
            audit = await stepper.exchange.audit()
            observed = Observed(audit.duplicates, stepper.unprotected, seconds, len(self._candles) - done)
            result: dict[str, object] = await stepper.database(lambda: report(cast, observed))
            return result
        finally:
            await stepper.stop()

    def _tell(self, index: int, begun: float, done: int) -> None:
        seconds = monotonic() - begun
        speed = (index - done + 1) / seconds if seconds else 0.0
        self._progress(
            f"{self._candles[index].close_time:%Y-%m-%d %H:%M}  {index + 1}/{len(self._candles)}  {speed:.0f} candles/s"
        )
