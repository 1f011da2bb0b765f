"""The engine as a lasting process: candles and prices that feeds have stored drive it; it polls rows, and is woken by its own stages.

With `MarketClock` market time is what the newest stored price says, for recorded candles that another process feeds in. With
`synthetic` this engine feeds the synthetic market too, unless another one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from signalist.accounts.keyholding import Keys
from signalist.accounts.paper_store import PaperStore
from signalist.accounts.sessions import Sessions
from signalist.audit.linking import Linker
from signalist.clock import Clock, SystemClock, monotonic
from signalist.domain.matching import Bar
from signalist.domain.timeframes import timeframe
from signalist.engine.database import Database
from signalist.engine.heartbeat import Call, Outside
from signalist.engine.inquiring import Inquirer
from signalist.engine.keywatch import KeyWatch
from signalist.engine.listening import Listening
from signalist.engine.loop import Engine
from signalist.engine.market import SyntheticMarket
from signalist.engine.market_feeds import wanted_of
from signalist.engine.missing import Looking
from signalist.engine.strategies import StrategyPool, walls_here
from signalist.engine.supplies import VenueMemory
from signalist.engine.venues import PublicMarket, missed_bars, paper_exchange
from signalist.execution import engines
from signalist.execution.decided import undecided
from signalist.execution.measure import snapshot
from signalist.logs import logger
from signalist.markets.models import LatestPrice
from signalist.markets.service import MarketService
from signalist.venues.base import Venue
from signalist.venues.market_data import MarketData
from signalist.venues.paper.exchange import SymbolBar
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
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class MarketClock:
    """Market time as the newest stored price tells it; never goes back."""

    def __init__(self) -> None:
        self._now = BEGINNING

    def now(self) -> datetime:
        """The time of the newest price that was seen."""
        return self._now

    def seen(self, moment: datetime) -> None:
        """A price of `moment` was seen."""
        self._now = max(self._now, moment)


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
        self._store = PaperStore()
        self._market = PublicMarket()
        self._exchange = paper_exchange(self._market, clock, self._database, terms or Terms(), waits=True)
        venues: dict[str, Venue] = {PAPER: PaperVenue(self._exchange), **others}
        sessions = Sessions(venues, paper=frozenset(venues))
        self.engine = Engine(sessions, clock, self._database, StrategyPool(), patient=False)
        self._keywatch = None if keys is None else KeyWatch(keys, sessions, self.engine)
        if self._keywatch is not None:
            self.engine.before_listening = self._keywatch.look
        self._inquirer = Inquirer(self.engine, sessions)
        self._missing = Looking(self.engine)
        self._memory = memory if others or sources else None
        self._synthetic = SyntheticMarket(clock, self._database) if synthetic else None
        self._prices: dict[str, tuple[Decimal, datetime]] = {}
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
            await self._database(self._open_accounts)
            await self._market_moves()
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
            yield self._feed(source)
        if settings.HEARTBEAT_URL:
            yield Outside(
                settings.HEARTBEAT_URL, settings.HEARTBEAT_EVERY, undecided=self._undecided, noted=self._noted
            ).keep()

    async def _feed(self, source: MarketData) -> None:
        """Feed from a venue's public side, where no other engine does; beside everything else where the database has room for that."""
        database = self._database.beside()
        try:
            await MarketService(source, self._clock, database, self.engine.id, partial(wanted_of, source.code)).keep()
        finally:
            if database is not self._database:
                database.close()

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
            await self._market_moves()
        if self._synthetic is not None and self._synthetic.is_behind:
            return  # nothing is decided on prices of hours ago
        if self._is_due("sweep", SWEEP_EVERY):
            await self._database(self._open_accounts)
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

    def _open_accounts(self) -> None:
        """Open at the paper venue what people have asked for; an account that the venue knows stays as it is."""
        for account in self._store.asked_for():
            assert account.deposit is not None
            self._store.open_account(account.venue_ref, account.currency, account.deposit)

    async def _market_moves(self) -> None:
        """Show the paper venue what the market did since it last looked: candles it missed, then the newest prices."""
        bars, ticks = await self._database(self._news)
        for _, together in groupby(bars, key=lambda bar: (bar.end, bar.begin)):
            await self._exchange.on_bars(list(together))
        if ticks:
            await self._exchange.on_bars(ticks)
        if bars or ticks:
            self.engine.wakes.ring("prices")
        if bars:
            newest = {bar.symbol: bar.end.isoformat() for bar in bars}
            await self._database(lambda: self._store.save_cursors(self._store.cursors() | newest))

    def _news(self) -> tuple[list[SymbolBar], list[SymbolBar]]:
        self._market.refresh()
        newest = LatestPrice.objects.filter(instrument__venue=PAPER).order_by("instrument__symbol")
        prices = {symbol: (price, at) for symbol, price, at in newest.values_list("instrument__symbol", "price", "at")}
        ticks = [
            SymbolBar(symbol, Bar.tick(price), at, at)
            for symbol, (price, at) in prices.items()
            if self._prices.get(symbol) != (price, at)
        ]
        if isinstance(self._clock, MarketClock):
            for tick in ticks:
                self._clock.seen(tick.end)
        bars = self._missed(prices)
        # Only now: where the database gave up, the same is done once more, and must find the same news.
        self._prices = prices
        return bars, ticks

    def _missed(self, symbols: Iterable[str]) -> list[SymbolBar]:
        """Bars behind each symbol's cursor. A symbol that was never worked on begins now: there is nothing older to fill."""
        cursors = self._store.cursors()
        fresh = {symbol: self._clock.now().isoformat() for symbol in symbols if symbol not in cursors}
        if fresh:
            cursors |= fresh
            self._store.save_cursors(cursors)
        return missed_bars(cursors, timeframe, self._clock.now() + timedelta(seconds=1))

    def _is_due(self, what: str, every: float) -> bool:
        if monotonic() < self._due.get(what, 0.0):
            return False
        self._due[what] = monotonic() + every
        return True
