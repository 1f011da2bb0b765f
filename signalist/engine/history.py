"""Makes the demonstration's past: the last hours of the synthetic market through the same pipeline, at full speed, up to now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalist.accounts.paper_store import PaperStore
from signalist.clock import SystemClock, monotonic
from signalist.domain.synthetic import MINUTE, TEN_SECONDS, Walk
from signalist.engine.stepping import Bars, Stepper
from signalist.execution.measure import snapshot
from signalist.markets import synthetic
from signalist.markets.history import newest
from signalist.markets.models import Instrument
from signalist.venues.paper.matching_desk import Terms

TELL_EVERY = timedelta(minutes=15)
HEARTBEAT_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Told:
    """What a load came to."""

    closes: int
    seconds: float


class History:
    """A load in progress. What an earlier one stored is gone on from."""

    def __init__(self, begins: datetime, progress: Callable[[str], None]) -> None:
        self._begins, self._progress = begins, progress
        self._machine = SystemClock()
        self._stepper = Stepper(begins, Terms(), progress)
        self._walks: dict[int, Walk] = {}

    async def run(self) -> Told:
        """Load everything until there is nothing left between the last candle and now. Raises AnotherEngine."""
        stepper, database, begun, closes = self._stepper, self._stepper.database, monotonic(), 0
        try:
            known = await database(lambda: {i.pk: i for i in synthetic.instruments().values()})
            self._walks = await database(lambda: synthetic.history(self._begins))
            await database(stepper.market.refresh)
            await stepper.start(await database(lambda: self._last(known)))
            while self._close() + TEN_SECONDS.length <= self._machine.now():
                await self._step(known)
                closes += 1
            await database(self._hand_over)
        finally:
            await stepper.stop()
        return Told(closes, monotonic() - begun)

    async def _step(self, known: Mapping[int, Instrument]) -> None:
        close, bars = self._close() + TEN_SECONDS.length, []
        for key, walk in self._walks.items():
            self._walks[key], closed = walk.to(close)
            bars.append(Bars(known[key], [(one.frame, one.candle) for one in closed], self._walks[key].value))
        await self._stepper.step(bars)
        if MINUTE.is_close(close):
            await self._stepper.database(lambda: snapshot(close))
        since = close - self._begins
        if not since % HEARTBEAT_EVERY:
            await self._stepper.engine.heartbeat()
        if not since % TELL_EVERY:
            self._progress(f"{close:%H:%M} of the synthetic market")

    def _last(self, known: Mapping[int, Instrument]) -> list[Bars]:
        """What an earlier load stored last, to be finished; nothing where this one is the first."""
        if self._close() == self._begins:
            return []
        return [
            Bars(known[key], [(TEN_SECONDS, newest(key, TEN_SECONDS.code, 1)[-1])], walk.value)
            for key, walk in self._walks.items()
        ]

    def _close(self) -> datetime:
        return next(iter(self._walks.values())).at

    def _hand_over(self) -> None:
        """Tell the venue how far it has worked through the candles: the running engine goes on from there."""
        store = PaperStore()
        reached = {walk.profile.spec.symbol: walk.at.isoformat() for walk in self._walks.values()}
        store.save_cursors(store.cursors() | reached)
