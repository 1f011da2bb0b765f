"""The engine's side of the synthetic market: one living engine feeds it, once a second, whoever else runs."""

from __future__ import annotations

from signalist.clock import Clock, monotonic
from signalist.engine.database import Database
from signalist.execution import engines
from signalist.execution.models import EngineProcess
from signalist.markets.synthetic import SyntheticFeed

SYNTHETIC = "synthetic"
ASK_EVERY = 0.5
"""Seconds: with the silence after which an engine is dead and the pause between two looks for such, a feed moves within ten."""
AT_A_TURN = 0.5
"""Seconds of a turn that go into filling a gap: an engine that catches up can be stopped all the same."""


class SyntheticMarket:
    """Feeds the market while it is this engine's to feed."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock, self._database = clock, database
        self._feed = SyntheticFeed()
        self._mine = False
        self._ask_at = 0.0
        self._second: int | None = None
        self._behind = False

    @property
    def is_fed_here(self) -> bool:
        """Whether this engine makes the market, so that nothing in it moves without its knowing."""
        return self._mine

    @property
    def is_behind(self) -> bool:
        """Whether a gap is being filled here, so that the newest prices are those of the past."""
        return self._mine and self._behind

    async def move(self, engine: EngineProcess) -> bool:
        """Store what happened since the last call, of a long gap as much as fits into a turn; whether there was anything."""
        await self._ask(engine)
        now = self._clock.now()
        second = int(now.timestamp())
        if not self._mine or second == self._second:
            return False
        enough = monotonic() + AT_A_TURN
        while not (is_done := await self._database(lambda: self._feed.advance(now))) and monotonic() < enough:
            continue  # a gap is filled in steps, between which the engine shows that it lives
        self._behind, self._second = not is_done, second if is_done else None
        return True

    async def _ask(self, engine: EngineProcess) -> None:
        """Whether it is ours: an engine that was silent for long may have been relieved of it."""
        if monotonic() < self._ask_at:
            return
        self._ask_at = monotonic() + ASK_EVERY
        mine = await self._database(lambda: engines.feeds(engine, SYNTHETIC))
        if not mine and self._mine:
            self._feed.forget()
        self._mine = mine
