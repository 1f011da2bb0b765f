"""The engine: drives the stages of one process. Stages never call each other; they ring, and the loop comes.

All database work is synchronous and goes through the engine's own single thread (`engine.database`), each piece behind the door `engine`;
only the heartbeat has one of its own where the database lets two write.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable

from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.clock import Clock, SystemClock, monotonic
from signalist.db import fast
from signalist.db.wakes import Wakes, wakes
from signalist.engine.accounts_heard import AccountsHeard
from signalist.engine.calls import Calls
from signalist.engine.database import Database
from signalist.engine.running import Running
from signalist.engine.strategies import StrategyPool
from signalist.execution import egress, engines, inheriting, leases, readiness, switch_requests
from signalist.execution.bare import look_at_bare
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.execution.held_exits import tell_held
from signalist.execution.leases import Taken
from signalist.execution.measure import measure
from signalist.execution.models import EngineProcess
from signalist.execution.protect import protect
from signalist.execution.readiness import Readiness
from signalist.execution.watching import watch
from signalist.logs import logger
from signalist.markets.selectors import forget_instruments
from signalist.strategies.selectors import forget_schedules
from signalist.venues.transport.fence import Tenure

LAST_ANSWERS = 1.0
"""Seconds that an engine which stops gives to strategies: who comes after it asks those again that have not answered."""

log = logger(__name__)


async def _nothing() -> None:
    """What is done where nothing has to be."""


class Engine:
    """One engine. `clock` is market time; the machine's clock serves only to tell that the engine lives.

    A `patient` one does everything in rounds and waits for every answer, so that a replay comes out the same each time. Another keeps
    calls under way and writes what has come; `news` is set when there is something to do. It may write to venues for `may_send` seconds
    after a heartbeat.
    """

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        database: Database,
        strategies: StrategyPool,
        *,
        patient: bool = True,
        may_send: float = engines.MAY_SEND,
    ) -> None:
        self.sessions, self.clock, self.database, self.strategies = sessions, clock, database, strategies
        self.wakes: Wakes = wakes
        self.process: EngineProcess | None = None
        self.news = asyncio.Event()
        self.before_listening: Callable[[], Awaitable[None]] = _nothing
        self.told_share: Callable[[int], None] | None = None
        self._share_lapses: asyncio.TimerHandle | None = None
        self._patient = patient
        self._may_send, self._tenure = may_send, Tenure(may_send)
        self._heart = database.beside()
        self._machine = SystemClock()
        self._watches, self._gate = True, Readiness()
        self.calls = Calls(sessions, clock, database, wakes=self.wakes, gate=self._gate, patient=patient)
        self._listening = AccountsHeard(sessions, self._heard_of)
        self.running = Running(database, clock, strategies, patient=patient, news=self.news.set)

    @property
    def entry(self) -> EngineProcess:
        """This engine's own row in the list of engines."""
        assert self.process is not None, "The engine has not been started."
        return self.process

    @property
    def id(self) -> uuid.UUID:
        """This engine's name in runs, attempts and orders."""
        return self.entry.pk

    @property
    def held(self) -> list[Account]:
        """The accounts that it holds, and to whose venues it listens."""
        return list(self._listening.known.values())

    async def start(self, *, alone: bool = False, clock: str = "system") -> None:
        """Enter the list of engines, take over what dead ones left, and hear every account's venue out before anything new.

        `alone`: refuse to start beside another living engine; `clock`: what others are told of its clock. Raises AnotherEngine.
        """
        begun, self.wakes.driven = monotonic(), True
        self.process = await self.database(lambda: engines.register(self._machine, alone=alone, market_clock=clock))
        self._tenure.renewed(begun)
        await self._share()
        self.calls.open(self.id, self._tenure, self.news)
        log.info("engine_started", engine=str(self.id), process=self.process.pid)
        await self.take_over()
        await self.watch()
        await self.drain()

    async def take_over(self) -> None:
        """Take over from engines that are no more."""
        dead = await self.database(lambda: engines.dead_engines(self._machine))
        if dead:
            await self.running.adopt(self.id, dead)
            await self.database(lambda: engines.taken_over(dead, self._machine))
        await self.database(lambda: leases.share_out(self.id, self._machine))
        await self._take_accounts()

    async def _take_accounts(self) -> None:
        taken: Taken = await self.database(lambda: leases.acquire(self.id, self._machine))
        if taken.left_behind:
            log.warning("accounts_taken_over", engine=str(self.id), accounts=len(taken.left_behind))
        if taken.all:
            # Whoever held them before, if anybody: what it had in hand is looked up and protection checked before anything new.
            under_way = self.calls.in_hand
            await self.database(lambda: inheriting.take_over(taken.all, self.id, self.clock.now(), under_way))
            self._gate.taken(taken.all)
            await self.database(
                lambda: readiness.recheck(taken.all, self.sessions.capabilities, self.id, self.clock.now())
            )
            # And with the keys in hand: what had to be sent before would be denied, a stop like an exit.
            await self.before_listening()
            self.calls.dirty |= set(taken.all)
            self.wakes.ring("place", "protect", "watch", "decide")

    async def watch(self) -> None:
        """Take accounts that are free, listen to all that are this engine's, read their reports (the safety net under the streams), and
        forget what may have changed. Accounts that are listened to already are read in turn, a fifth of them each time."""
        forget_instruments()
        forget_schedules()
        await self._take_accounts()
        held: dict[int, int] = await self.database(lambda: leases.held(self.id))
        await self._listening.leave_others(held)
        fresh = held.keys() - self._listening.known.keys()
        if fresh:
            await self.before_listening()
        for account in await self.database(lambda: fast.select_ids(Account, sorted(fresh))):
            self._listening.listen(account)
        if self.calls.comparer is not None:
            self.calls.comparer.hold(self._listening.known.values())
        self.calls.dirty |= fresh | self.calls.in_turn(held)

    async def heartbeat(self) -> None:
        """Show that this engine lives, also while a unit of its work takes long. Where one hangs it does not, and gives up what it holds:
        others need not wait until it was silent for long. With one connection for all nobody can be told."""
        process, begun = self.entry, monotonic()
        if self.database.is_stuck:
            log.error("engine_unit_hangs", engine=str(self.id))
            self._tenure.lapse()
            if self.told_share is not None:
                self.told_share(0)
            if self._heart is not self.database:
                await self._heart(lambda: engines.hangs(process, self._machine))
            return
        await self._heart(lambda: engines.heartbeat(process, self._machine))
        self._tenure.renewed(begun)
        await self._share()

    async def _share(self) -> None:
        """Look at how much of what its address may ask of venues is this engine's, where anything is asked of any; `told_share` hears it.
        One that finds no time to look has nothing once others may take it for dead."""
        if self.told_share is None:
            return
        entry = self.entry
        among = await self._heart(lambda: egress.share(entry, self._machine))
        if self._share_lapses is not None:
            self._share_lapses.cancel()
        self._share_lapses = asyncio.get_running_loop().call_later(self._may_send, self.told_share, 0)
        self.told_share(among)

    async def poll(self) -> None:
        """The safety net: ask everything, whether rung or not."""
        under_way = self.calls.in_hand
        if await self.database(lambda: inheriting.orphaned(self.id, self.clock.now(), under_way=under_way)):
            log.warning("orphaned_orders_found", engine=str(self.id))
        await self.database(lambda: look_at_bare(self.clock.now(), self.id))
        if await self.database(lambda: tell_held(self.clock.now(), self.id)):
            log.error("exits_held", engine=str(self.id))
        await self.running.adopt(self.id, {self.id})
        if self._patient:
            self.calls.dirty |= set(await self.database(lambda: inheriting.accounts_to_watch(self.id)))
        await self.calls.compare()
        self.wakes.ring("switches", "fan_out", "decide", "place", "protect", "watch", "measure", "look_up")

    async def run_due(self) -> int:
        """Run every strategy that is due; returns how many runs were begun or finished."""
        return await self.running.due(self.id)

    async def drain(self) -> None:
        """Work until no stage is rung and no account has news. What happened comes before what is to happen."""
        database, clock = self.database, self.clock
        while self.wakes.any() or self.calls.has_news:
            if self.wakes.take("corrections"):
                self.strategies.forget()
            if self.wakes.take("switches"):
                await database(lambda: switch_requests.carry_out(clock.now()))
            await self.calls.hear()
            if self.wakes.take("measure"):
                await database(lambda: measure(clock.now()))
            if self._is_to_watch():
                found = await database(lambda: watch(clock.now(), self.sessions.capabilities, self.id))
                self._watches = found > 0
            if self.wakes.take("protect"):
                await database(lambda: protect(clock.now(), self.sessions.capabilities, engine=self.id))
            if self.wakes.take("fan_out"):
                await database(lambda: fan_out(clock.now()))
            if self.wakes.take("decide"):
                await database(lambda: decide(clock.now(), engine=self.id, gate=self._gate))
            if self.wakes.take("place"):
                await self.calls.place()

    def _is_to_watch(self) -> bool:
        """Whether something is watched that was not before, or the market moved and something is."""
        rung, moved = self.wakes.take("watch"), self.wakes.take("prices")
        return rung or (moved and self._watches)

    async def stop(self) -> None:
        """Stop in good order: what is under way comes to its end, and what this engine held is free."""
        if self._heart is not self.database:
            self._heart.close()  # a beat that is under way must not come after the end
        try:
            await self.running.end(LAST_ANSWERS)
            await self.calls.end(self.drain)
            if self.process is not None:
                process = self.process
                await self.database(lambda: leases.give_up(self.id))
                await self.database(lambda: engines.ended(process, self._machine))
        finally:
            if self._share_lapses is not None:
                self._share_lapses.cancel()
            self.wakes.driven = False
            self.running.close()
            self.database.close()

    def hear_anew(self, account_ids: Iterable[int]) -> None:
        """Listen to these accounts anew at the next watch: what opens them has come or gone."""
        self._listening.anew(account_ids)

    def _heard_of(self, account_id: int) -> None:
        self.calls.dirty.add(account_id)
        self.news.set()
