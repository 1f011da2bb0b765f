"""One seed's story, from the first minute until everybody has closed everything, with what must hold checked along the way."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from signalist.domain.money import plain
from signalist.domain.strategies import SignalRow
from signalist.engine.simulation import database
from signalist.engine.simulation.cast import BEGIN, Cast, assembled
from signalist.engine.simulation.dice import Dice
from signalist.engine.simulation.faults import Fault
from signalist.engine.simulation.invariants import Invariants
from signalist.engine.simulation.people import People
from signalist.engine.simulation.script import EXITS, Script
from signalist.engine.simulation.watching import Move, Trace, Violated, counted_moves
from signalist.engine.simulation.world import Killed, World
from signalist.markets.selectors import forget_instruments
from signalist.sandbox.outcomes import Ran
from signalist.strategies import run as runs
from signalist.strategies.models import Schedule, StrategyRun
from signalist.strategies.selectors import forget_schedules
from signalist.trading.models import Order, Trade
from tenants.doors import across_tenants

ORDERS, FAULTS = 200, 5
"""A story goes on until it has had so many, and for its minutes: a few, so that many can be told, and now and then a good many."""
LONG_STORIES = 0.03
MOST_MINUTES = 60
MOST_ROUNDS = 20
"""So many rounds of waiting must be enough for everything to come to rest."""
WAIT = timedelta(seconds=61)
"""More than the longest pause that is made before a venue is asked again."""
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Outcome:
    """What a seed came to. `invariant` is empty where all held."""

    seed: int
    steps: int = 0
    orders: int = 0
    trades: int = 0
    kills: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    moves: Counter[Move] = field(default_factory=Counter)
    digest: str = ""
    step: str = ""
    invariant: str = ""
    numbers: str = ""
    trace: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.invariant


def simulate(seed: int) -> Outcome:
    """Simulate a seed on this process's database, which is emptied of the seed before. Raises NotOurs where it holds anything else."""
    return asyncio.run(_simulated(seed, connections[DEFAULT_DB_ALIAS]))


async def _simulated(seed: int, own: Any) -> Outcome:
    connections[DEFAULT_DB_ALIAS] = own  # every task would open one of its own
    asyncio.get_running_loop().set_exception_handler(_heard)
    story, outcome = Story(seed), Outcome(seed)
    with across_tenants("simulation"), counted_moves(outcome.moves), _quiet():
        try:
            await story.tell()
        except database.NotOurs:
            raise
        except Violated as violated:
            outcome.invariant, outcome.numbers = violated.invariant, violated.numbers
        except Exception as error:  # noqa: BLE001 whatever an engine raises is a finding of this seed, not the end of all
            outcome.invariant, outcome.numbers = "the engine works", f"{type(error).__name__}: {error}"
            story.trace.say(traceback.format_exc())
        try:
            story.report(outcome)
        finally:
            # An engine that has broken once may break again when it is to stop: what it broke of is known already.
            with suppress(*(() if outcome.holds else (Exception,))):
                await story.close()
    return outcome


def _heard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the tasks of a killed engine raise is heard by nobody."""
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


@contextmanager
def _quiet() -> Iterator[None]:
    """Log no warnings: that the venue does not answer is what a simulation is about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class Story:
    """A seed's story."""

    def __init__(self, seed: int) -> None:
        self._dice, self.trace = Dice(seed), Trace()
        self._world = World(self._dice, self.trace, self._at_passage)
        self._cast: Cast
        self._people: People
        self._invariants: Invariants
        self._minute = 0
        self._minutes = self._dice.whole(15, 25, "minutes") if self._dice.chance(LONG_STORIES, "long") else 3
        self._script = Script(self._dice)
        self._kill_in = self._act_in = 0

    async def tell(self) -> None:
        """The whole story. Raises Violated where an invariant does not hold."""
        self._set_up()
        await self._world.live()
        while not self._is_told():
            await self._one_minute()
        await self._come_to_rest(flat=False)
        await self._close_everything()
        await self._come_to_rest(flat=True)

    async def close(self) -> None:
        """The story is over, however it ended; one that could not begin has nobody to stop."""
        if self._world.has_begun:
            await self._world.stop()

    def report(self, outcome: Outcome) -> None:
        """What has become of it."""
        outcome.steps, outcome.kills, outcome.faults = self.trace.step, self._world.kills, self._world.venue.faults
        outcome.orders, outcome.trades = Order.objects.count(), Trade.objects.count()
        headings = [line for line in self.trace.lines if not line.startswith("     ")]
        outcome.step, outcome.trace = headings[-1].strip() if headings else "set-up", self.trace.lines
        trades = sorted(
            "|".join([t.direction, plain(t.quantity), plain(t.entry_price), plain(t.exit_price), plain(t.net)])
            for t in Trade.objects.all()
        )
        outcome.digest = hashlib.sha256("\n".join([self.trace.digest(), *trades]).encode()).hexdigest()

    def _set_up(self) -> None:
        database.check()
        database.empty()
        forget_instruments()
        forget_schedules()
        self._cast = assembled(self._dice)
        self._people = People(self._cast, self._dice, self.trace)
        self._world.market.refresh()
        for symbol, price in self._script.prices.items():
            self._world.market.set_price(symbol, price)
        self._world.publish(self._cast)
        self._invariants = Invariants(self._world, self._cast)

    def _is_told(self) -> bool:
        if self._minute < self._minutes:
            return False
        enough = Order.objects.count() >= ORDERS and self._world.venue.faults.total() >= FAULTS
        if not enough and self._minute >= MOST_MINUTES:
            raise Violated("a story has enough orders and faults", f"{Order.objects.count()} orders")
        return enough

    # --- A minute --------------------------------------------------------------------------------

    async def _one_minute(self) -> None:
        """A candle closes, strategies speak, people act, an engine may die; then some turns of the engine follow."""
        self._minute += 1
        k, dice, world = self._minute, self._dice, self._world
        close = BEGIN + k * MINUTE
        self.trace.begin(close, "a minute passes")
        await world.move(self._script.bars(k), (close - world.clock.now()).total_seconds())
        await world.venue.tide()
        world.publish(self._cast)
        self._kill_in = dice.whole(1, 45, "kill at", k) if dice.chance(0.25, "kill", k) else 0
        self._act_in = dice.whole(1, 45, "act at", k) if dice.chance(0.4, "act within", k) else 0
        if dice.chance(0.35, "act", k):
            self._people.act(world.clock.now())
        if dice.chance(0.4, "at work", k):
            await world.settle()
        for schedule in self._cast.schedules:
            self._speak(schedule)
        await world.settle()
        await self._check()
        for beat in range(1 + dice.chance(0.35, "beats", k)):
            await self._beat(beat)

    async def _beat(self, beat: int) -> None:
        """Some seconds pass, or the clock steps, and the engine looks at everything."""
        k, dice, world = self._minute, self._dice, self._world
        steps = dice.chance(0.08, "clock", k, beat)
        seconds = dice.whole(-3, 12, "step", k, beat) if steps else dice.whole(1, 12, "passes", k, beat)
        self.trace.begin(world.clock.now(), f"{'the clock steps by' if steps else 'there pass'} {seconds} s")
        world.clock.set(world.clock.now() + timedelta(seconds=seconds))
        await world.venue.tide()
        for symbol, price in self._script.prices.items():
            await world.tick(symbol, self._script.near(symbol, k, price, 0.001, "beat", beat))
        world.publish(self._cast)
        sweep = dice.chance(0.4, "sweep", k, beat)
        await world.turn(sweep=sweep)
        await self._check(swept=sweep)

    async def _check(self, *, swept: bool = False) -> None:
        await self._invariants.after_step(swept=swept)

    def _at_passage(self, name: str) -> None:
        """An engine passes a failpoint: now and then people act there, or it is killed."""
        if self._act_in:
            self._act_in -= 1
            if not self._act_in:
                self.trace.say(f"at {name}")
                self._people.act(self._world.clock.now())
        if self._kill_in:
            self._kill_in -= 1
            if not self._kill_in:
                raise Killed

    # --- The strategies --------------------------------------------------------------------------

    def _speak(self, schedule: Schedule) -> None:
        """What the strategy says about the candle that closed just now, as its run would have it written."""
        rows = self._script.said(schedule.instrument.symbol, self._minute)
        if rows:
            self._give(schedule, rows)

    def _give(self, schedule: Schedule, rows: tuple[SignalRow, ...]) -> None:
        close, now = BEGIN + self._minute * MINUTE, self._world.clock.now()
        self.trace.say(f"{schedule.instrument.symbol}: {', '.join(row.kind for row in rows)}")
        run = StrategyRun.objects.create(
            schedule=schedule, candle_close=close, engine=self._world.engine.id, claimed_at=now
        )
        reference = self._script.prices[schedule.instrument.symbol]
        runs.finish(run, Ran(rows, 1.0), reference, now)

    # --- The end ---------------------------------------------------------------------------------

    async def _close_everything(self) -> None:
        """The strategies leave the market, and people close by hand what is left; nothing was under way before."""
        world = self._world
        self._minute += 1
        close = max(BEGIN + self._minute * MINUTE, world.clock.now() + MINUTE)
        self._minute = (close - BEGIN) // MINUTE
        world.clock.set(BEGIN + self._minute * MINUTE)
        self.trace.begin(world.clock.now(), "everybody closes everything")
        world.publish(self._cast)
        for schedule in self._cast.schedules:
            self._give(schedule, EXITS)
        await world.settle()
        self._people.give_up(world.clock.now())
        await world.settle()

    async def _come_to_rest(self, *, flat: bool) -> None:
        """The venue is well from now on; once nothing is under way everything must be as it should."""
        world = self._world
        world.weather.fair = True
        self._kill_in = self._act_in = 0
        for _ in range(MOST_ROUNDS):
            self.trace.begin(world.clock.now(), "the venue is well")
            world.clock.set(world.clock.now() + WAIT)
            await world.venue.tide()
            for symbol, price in self._script.prices.items():
                await world.tick(symbol, price)
            world.publish(self._cast)
            await world.turn(sweep=True)
            await self._check(swept=True)
            if not self._invariants.unsettled():
                break
        await self._invariants.at_rest(flat=flat)
