"""What one engine has under way at venues: orders are sent, answers and reports written, what is in doubt looked up, books compared."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable

from django.db import InterfaceError, OperationalError

from signalist.accounts.sessions import Sessions
from signalist.clock import Clock, monotonic
from signalist.db.wakes import Wakes
from signalist.engine.database import Database
from signalist.execution import reconcile
from signalist.execution.compare import Comparer
from signalist.execution.place import Placer, place
from signalist.execution.readiness import Readiness
from signalist.venues.transport.fence import Tenure

TURNS = 5
COMPARE_WAITS = 5
LAST_WORDS = 5.0
"""Seconds that an engine which stops gives to what is under way at venues."""


class Calls:
    """Of one engine, after `open`. A `patient` one waits for every answer; another writes what has come, and rings `news` when it has.

    `dirty` are the accounts that have news at their venues, by key. `gate` is told what was heard of each.
    """

    def __init__(
        self, sessions: Sessions, clock: Clock, database: Database, *, wakes: Wakes, gate: Readiness, patient: bool
    ) -> None:
        self._sessions, self._clock, self._database = sessions, clock, database
        self._wakes, self._gate, self._patient = wakes, gate, patient
        self._engine: uuid.UUID | None = None
        self._news = asyncio.Event()
        self._placer: Placer | None = None
        self._reconciler: reconcile.Reconciler | None = None
        self._turn, self._put_off = 0, 0
        self.comparer: Comparer | None = None
        self.dirty: set[int] = set()

    def open(self, engine: uuid.UUID, tenure: Tenure, news: asyncio.Event) -> None:
        """From now on in the name of this engine, and as long as its `tenure` lets it."""
        self._engine, self._news = engine, news
        named = (self._sessions, self._clock, engine, self._database)
        self.comparer = Comparer(*named, news=news.set, patient=self._patient)
        if not self._patient:
            self._placer = Placer(*named, news=news.set, tenure=tenure)
            self._reconciler = reconcile.Reconciler(*named, news=news.set, heard=self._gate.heard)

    @property
    def in_hand(self) -> frozenset[int]:
        """The orders that this engine itself is asking its venues about."""
        return self._placer.orders if self._placer is not None else frozenset()

    @property
    def has_news(self) -> bool:
        """Whether an account has news, or an answer waits to be written."""
        return bool(self.dirty) or self._has_answers()

    def in_turn(self, account_ids: Iterable[int]) -> set[int]:
        """Which of these are read now though nobody has said that they have news."""
        if self._patient:
            return set(account_ids)
        self._turn = (self._turn + 1) % TURNS
        return {key for key in account_ids if key % TURNS == self._turn}

    async def compare(self) -> None:
        """Answer who asked for an account's books to be compared, and compare what is due."""
        if self.comparer is None:
            return
        await self.comparer.answer()
        if self._has_time_to_compare():
            await self.comparer.look()

    async def hear(self) -> None:
        """Learn what happened at venues: answers to orders, reports, and what became of those in doubt."""
        assert self._engine is not None, "The engine has not been started."
        if self.comparer is not None:
            await self.comparer.write()
            stale, self.comparer.stale = self.comparer.stale, set()
            self.dirty |= stale
        dirty, self.dirty = self.dirty, set()
        if self._placer is None or self._reconciler is None:
            named = (self._sessions, self._clock, self._database)
            await reconcile.reconcile(*named, dirty, self._engine, self._gate.heard)
            if self._wakes.take("look_up"):
                await reconcile.look_up(*named, self._engine)
            return
        dirty |= self._reconciler.again
        self._reconciler.again = set()
        try:
            self._answered(await self._placer.write())
            await self._reconciler.write()
            await self._reconciler.read(dirty)
        except (OperationalError, InterfaceError):
            self.dirty |= dirty  # nobody else remembers that these had news
            raise
        if self._wakes.take("look_up"):
            await self._reconciler.look_up()

    async def place(self) -> None:
        """Send what is to be sent."""
        assert self._engine is not None, "The engine has not been started."
        if self._placer is None:
            self._answered(await place(self._sessions, self._clock, self._engine, self._database))
        else:
            await self._placer.send()

    async def end(self, drain: Callable[[], Awaitable[None]]) -> None:
        """Bring to an end what is under way, as long as it takes but not for ever: an entry that fills now wants its stop. `drain` does
        what the answers ask for."""
        if self.comparer is not None:
            await self.comparer.end()
        placer, reconciler = self._placer, self._reconciler
        if placer is None or reconciler is None:
            return
        until = monotonic() + LAST_WORDS
        while True:
            await drain()
            left = until - monotonic()
            if left <= 0 or not (placer.under_way or reconciler.asks):
                break
            self._news.clear()
            if self._has_answers():
                continue
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                break
        await asyncio.gather(placer.under_way.end(0.0), reconciler.end(0.0))
        await placer.write()
        await reconciler.write()

    def _has_time_to_compare(self) -> bool:
        """What is compared each minute waits while orders are on their way, for so many polls at most: they are a second apart."""
        self._put_off = self._put_off + 1 if self.in_hand else 0
        return self._put_off % COMPARE_WAITS == 0

    def _has_answers(self) -> bool:
        if self.comparer is not None and (self.comparer.has_answers or self.comparer.stale):
            return True
        return self._placer is not None and (
            self._placer.under_way.has_answers or (self._reconciler is not None and self._reconciler.has_answers)
        )

    def _answered(self, orders: int) -> None:
        """An answer may be what the entries of an account wait for behind its gate."""
        if orders and self._gate.keeps_out:
            self._wakes.ring("decide")
