"""The world of a simulation: a clock, two markets, the misbehaving venue, and an engine that is killed and replaced."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from signalist.accounts.sessions import Sessions
from signalist.clock import SystemClock
from signalist.db.wakes import wakes
from signalist.domain.matching import Bar
from signalist.engine.database import DatabaseInline
from signalist.engine.loop import Engine
from signalist.engine.simulation.cast import BEGIN, Cast
from signalist.engine.simulation.dice import Dice
from signalist.engine.simulation.faults import Weather
from signalist.engine.simulation.venue import MisbehavingVenue
from signalist.engine.simulation.watching import Trace
from signalist.engine.strategies import StrategyPool
from signalist.engine.venues import PublicMarket, paper_exchange
from signalist.execution.models import EngineProcess
from signalist.failpoints import watched
from signalist.markets import feeds
from signalist.venues.paper.exchange import PaperExchange, SymbolBar
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.paper.venue import PAPER

LONG_AGO = timedelta(minutes=5)
SWEEP = 5
"""So often an engine watches until it has read all its accounts: some read a part of them each time."""
OURS = 2
"""The story and what it has the engine do: any other task is a call that is under way."""


class Killed(BaseException):
    """The engine is killed here: nothing of it goes on."""


class SimulatedClock:
    """Market time, and the machine's: it goes on by what it is told, and may be set back."""

    def __init__(self) -> None:
        self._now = BEGIN

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        """It is `moment`."""
        self._now = moment


class World:
    """One seed's world. `at_passage` is asked at every failpoint what happens there; it may raise Killed."""

    def __init__(self, dice: Dice, trace: Trace, at_passage: Callable[[str], None]) -> None:
        self.clock, self.trace = SimulatedClock(), trace
        self.weather = Weather(dice)
        self.market = PublicMarket()
        self.database = DatabaseInline()
        self.venue = MisbehavingVenue(self.weather, self.clock, trace, self.tick)
        self.kills = 0
        self.killed_at: datetime | None = None
        self._terms = Terms(partial_chance=dice.between("0", "0.5", "0.01", "partial"), seed=dice.seed)
        self._patient, self._pace = dice.chance(0.5, "patient"), dice.whole(5, 40, "pace")
        self._at_passage = at_passage
        self._fell: asyncio.Future[None] | None = None
        self.exchange: PaperExchange
        self.engine: Engine

    # --- Engines ---------------------------------------------------------------------------------

    async def live(self) -> None:
        """Start an engine; one that is killed while it starts is followed by another."""
        while True:
            self._replace()
            if await self.work(self.engine.start()) and await self.work(self._drained()):
                return

    def _replace(self) -> None:
        """A new process: it knows nothing but the rows."""
        wakes.clear()
        self.exchange = paper_exchange(self.market, self.clock, self.database, self._terms, sole=True)
        self.venue.stand_before(self.exchange)
        sessions = Sessions({PAPER: self.venue})
        # How fast this machine is must not matter: no engine here is frozen by it.
        self.engine = Engine(
            sessions, self.clock, self.database, StrategyPool(), patient=self._patient, may_send=math.inf
        )

    async def work(self, coroutine: Coroutine[Any, Any, object]) -> bool:
        """Have the engine do something; False where it was killed at it. What else it raises is raised here."""
        fell = self._fell = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(coroutine)
        with watched(self._passed):
            await asyncio.wait({task, fell}, return_when=asyncio.FIRST_COMPLETED)
        if not fell.done():
            task.result()
            return True
        await self._bury()
        return False

    def _passed(self, name: str) -> None:
        """An engine passes a failpoint; one that has been killed passes none."""
        assert self._fell is not None
        if self._fell.done():
            raise Killed
        try:
            self._at_passage(name)
        except Killed:
            self.trace.say(f"killed at {name}")
            self._fell.set_result(None)
            raise

    async def _bury(self) -> None:
        """Let nothing of the killed engine go on, and have it look as dead as it is to whom looks."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert not connection.in_atomic_block, "Killed within a transaction."
        self.kills += 1
        self.killed_at = self.clock.now()
        if self.engine.process is not None:
            gone = SystemClock().now() - LONG_AGO
            EngineProcess.objects.filter(pk=self.engine.id).update(seen_at=gone)
        else:
            EngineProcess.objects.filter(ended_at__isnull=True).update(seen_at=SystemClock().now() - LONG_AGO)

    async def turn(self, *, sweep: bool) -> None:
        """What a living engine does again and again: look at what is under way, or `sweep` at everything, and work it off."""
        await self._killable(self._turn(sweep=sweep))

    async def settle(self) -> None:
        """Work until nothing is left."""
        await self._killable(self._drained())

    async def _killable(self, coroutine: Coroutine[Any, Any, object]) -> None:
        if not await self.work(coroutine):
            await self.live()

    async def _turn(self, *, sweep: bool) -> None:
        for _ in range(SWEEP if sweep else 0):
            await self.engine.watch()
        await self.engine.heartbeat()
        await self.engine.poll()
        await self._drained()

    async def _drained(self) -> None:
        """Work until nothing is left, and until everything that is under way has been answered."""
        await self.engine.drain()
        while len(asyncio.all_tasks()) > OURS:
            for _ in range(self._pace):
                await asyncio.sleep(0)
            await self.engine.drain()

    @property
    def has_begun(self) -> bool:
        """Whether there is, or was, an engine."""
        return hasattr(self, "engine")

    async def stop(self) -> None:
        """The story is over."""
        wakes.clear()
        await self.engine.stop()

    # --- The market ------------------------------------------------------------------------------

    async def move(self, bars: dict[str, tuple[Bar, Decimal]], seconds: float) -> None:
        """`seconds` pass, in which each market moves through its bar and ends at the price beside it."""
        begin = self.clock.now()
        self.clock.set(begin + timedelta(seconds=seconds))
        await self.exchange.on_bars([SymbolBar(s, bar, begin, self.clock.now()) for s, (bar, _) in bars.items()])
        for symbol, (_, close) in bars.items():
            await self.tick(symbol, close)

    async def tick(self, symbol: str, price: Decimal) -> None:
        """The market stands at `price` from now on, and fills what rests there."""
        now = self.clock.now()
        self.market.set_price(symbol, price)
        await self.exchange.on_bars([SymbolBar(symbol, Bar.tick(price), now, now)])

    def publish(self, cast: Cast) -> None:
        """Store the newest prices, as the feed does."""
        now = self.clock.now()
        prices = [(i, self.market.price(i.symbol)) for i in cast.instruments]
        feeds.take_prices([feeds.Price(i.pk, price, now) for i, price in prices if price is not None])
