"""The engine as a lasting process: candles and prices that feeds have stored drive it; it polls rows, and is woken by its own stages.

With `MarketClock` market time is what the newest stored price says, for recorded candles that another process feeds in. With
`synthetic` this engine feeds the synthetic market too, unless another one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from signalist.accounts.keyholding import Keys
from signalist.accounts.sessions import Sessions
from signalist.audit.linking import Linker
from signalist.clock import Clock, SystemClock, monotonic
from signalist.db.wakes import wakes
from signalist.domain.timeframes import timeframe
from signalist.engine import venue_feed
from signalist.engine.database import Database
from signalist.engine.heartbeat import Call, Outside
from signalist.engine.inquiring import Inquirer
from signalist.engine.keywatch import KeyWatch
from signalist.engine.listening import Listening
from signalist.engine.loop import Engine
from signalist.engine.market import SyntheticMarket
from signalist.engine.missing import Looking
from signalist.engine.paper_market import MarketClock, PaperMarket
from signalist.engine.strategies import StrategyPool, walls_here
from signalist.engine.supplies import VenueMemory
from signalist.execution import engines
from signalist.execution.decided import undecided
from signalist.execution.measure import snapshot
from signalist.logs import logger
from signalist.venues.base import Venue
from signalist.venues.market_data import MarketData
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.paper.venue import PAPER, PaperVenue

log = logger(__name__)

POLL_EVERY = 0.1
SWEEP_EVERY = 1.0
LOOK_EVERY = 1.0
HEARTBEAT_EVERY = 2.0
HANGS_EVERY = 0.5
"""Seconds between two looks at whether a unit hangs."""
TAKE_OVER_EVERY = 1.0
MISSED_EVERY = 5.0
LINK_EVERY = 2.0
MINUTE = timeframe("1m")


class LiveEngine:
    """One engine process. `stop` may be called from a signal handler.

    `others` are venues of play money by their code, beside the paper venue, which it always serves. `keys` is where those that open
    accounts by stored credentials find the secrets, `memory` where their adapters' supplies come from. `sources` are public sides of
    venues that it feeds from, where no other engine does.
    """

    def __init__(
        self,
        clock: Clock,
        terms: Terms | None = None,
        *,
        synthetic: bool = False,
        others: Mapping[str, Venue] = MappingProxyType({}),
        keys: Keys | None = None,
        memory: VenueMemory | None = None,
        sources: Sequence[MarketData] = (),
    ) -> None:
        self._clock, self._sources = clock, sources
        self._database = Database()
        self._paper = PaperMarket(clock, self._database, terms or Terms(), moved=partial(wakes.ring, "prices"))
        venues: dict[str, Venue] = {PAPER: PaperVenue(self._paper.exchange), **others}
        sessions = Sessions(venues, paper=frozenset(venues))
        self.engine = Engine(sessions, clock, self._database, StrategyPool(), patient=False)
        self._keywatch = None if keys is None else KeyWatch(keys, sessions, self.engine)
        if self._keywatch is not None:
            self.engine.before_listening = self._keywatch.look
        self._inquirer = Inquirer(self.engine, sessions)
        self._missing = Looking(self.engine)
        self._memory = memory if others or sources else None
        self._supplies = (memory or VenueMemory()).of
        if self._memory is not None:
            self.engine.told_share = self._memory.share
        self._synthetic = SyntheticMarket(clock, self._database) if synthetic else None
        self._minute: datetime | None = None
        self._linker = Linker()
        self._stopping = asyncio.Event()
        self._due: dict[str, float] = {}

    def stop(self) -> None:
        """Stop after the work at hand."""
        self._stopping.set()
        self.engine.news.set()

    async def run(self) -> None:
        """Work until stopped."""
        beside: list[asyncio.Task[None]] = []
        try:
            if self._memory is not None:
                await self._memory.open(self._database)
            await self._database(self._paper.open_accounts)
            await self._paper.moves()
            await self.engine.start(clock="system" if isinstance(self._clock, SystemClock) else "market")
            beside = [asyncio.create_task(work) for work in self._beside()]
            while not self._stopping.is_set():
                for task in beside:
                    if task.done():
                        task.result()
                try:
                    await self._turn()
                except (OperationalError, InterfaceError) as error:
                    # The database is away for longer than a unit is tried again. What was in hand is in the rows, as after a crash:
                    # the safety net finds it there when they can be read again. Meanwhile the lease ends what may be sent.
                    log.warning("engine_turn_failed", error=str(error).strip())
                    self._due.clear()
                await self._pause()
        finally:
            for task in beside:
                task.cancel()
            if beside:
                await asyncio.wait(beside)
            await self._missing.end()
            try:
                if self._memory is not None:
                    await self._memory.close()
            finally:
                await self.engine.stop()

    def _beside(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What goes on beside the work: signs of life, the walls there are, hearing other processes, and the heartbeat outside."""
        yield self._beat()
        yield self._tell_walls()
        yield Listening(self.engine.wakes, self.engine.news.set).listen()
        yield self._inquirer.keep()
        if self._keywatch is not None:
            yield self._keywatch.keep()
        if self._memory is not None:
            yield self._memory.keep()
        for source in self._sources:
            yield venue_feed.feed(source, self._clock, self._database, self.engine.id, self._supplies)
        if settings.HEARTBEAT_URL:
            yield Outside(
                settings.HEARTBEAT_URL, settings.HEARTBEAT_EVERY, undecided=self._undecided, noted=self._noted
            ).keep()

    async def _tell_walls(self) -> None:
        """Enter once which walls stand around strategies here; it also warms the process that their runs are forked from."""
        entry = self.engine.entry
        level, refusal = await asyncio.to_thread(walls_here)
        try:
            await self._database(lambda: engines.sandboxed(entry, level=level, refusal=refusal))
        except (OperationalError, InterfaceError) as error:
            log.warning("sandbox_level_not_noted", error=str(error).strip())

    async def _undecided(self) -> str:
        return await self._database(lambda: undecided(self._clock.now()))

    async def _noted(self, call: Call) -> None:
        entry = self.engine.entry
        await self._database(lambda: engines.beat_outside(entry, SystemClock(), well=call.well, said=call.said))

    async def _pause(self) -> None:
        """Wait until there is something to do: an answer of a venue, the next look at the rows, or the end."""
        try:
            await asyncio.wait_for(self.engine.news.wait(), POLL_EVERY)
        except TimeoutError:
            return
        finally:
            self.engine.news.clear()

    async def _beat(self) -> None:
        """Show that the engine lives, also while a venue keeps it waiting, and again after the database did not answer."""
        while True:
            hangs = self._database.is_stuck
            try:
                await self.engine.heartbeat()
            except (OperationalError, InterfaceError) as error:
                log.warning("engine_heartbeat_failed", error=str(error).strip())
            for _ in range(int(HEARTBEAT_EVERY / HANGS_EVERY)):
                await asyncio.sleep(HANGS_EVERY)
                if hangs or self._database.is_stuck:
                    break  # one that was merely slow shows soon after that it lives

    async def _turn(self) -> None:
        if self._is_due("link", LINK_EVERY):
            await self._database(self._link)
        if await self._has_moved() or self._is_due("look", LOOK_EVERY):
            await self._paper.moves()
        if self._synthetic is not None and self._synthetic.is_behind:
            return  # nothing is decided on prices of hours ago
        if self._is_due("sweep", SWEEP_EVERY):
            await self._database(self._paper.open_accounts)
            await self.engine.watch()
            await self.engine.poll()
        if self._is_due("take_over", TAKE_OVER_EVERY):
            await self.engine.take_over()
        await self.engine.drain()
        if self._is_due("missed", MISSED_EVERY):
            # Before what is due now: who wants to be asked after an outage takes no entry from it on.
            await self._missing.look(stored_only=isinstance(self._clock, MarketClock))
            await self.engine.drain()
        await self._note_worth()
        if await self.engine.run_due():
            await self.engine.drain()

    async def _has_moved(self) -> bool:
        """Whether the market may have moved: where another process feeds it, one never knows."""
        if self._synthetic is None:
            return True
        return await self._synthetic.move(self.engine.entry) or not self._synthetic.is_fed_here

    async def _note_worth(self) -> None:
        """At every full minute of market time, what each account is worth before anything new is decided."""
        minute = MINUTE.last_close(self._clock.now())
        if self._minute is not None and minute > self._minute:
            await self._database(lambda: snapshot(minute))
        self._minute = minute

    def _link(self) -> None:
        """Link what was recorded, by the machine's clock: the audit log is about people, whatever the market's time."""
        known = self._linker.broken
        self._linker.link(SystemClock().now())
        if self._linker.broken and self._linker.broken != known:
            log.error("audit_chain_broken", tenants=self._linker.broken, do="run manage.py verify_audit")

    def _is_due(self, what: str, every: float) -> bool:
        if monotonic() < self._due.get(what, 0.0):
            return False
        self._due[what] = monotonic() + every
        return True
