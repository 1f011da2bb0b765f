"""A small world that tests drive by hand: one market, the paper venue with tricks, the real engine, and whom a test subscribes.

Nothing happens unless a test says so: a minute passes (`minute`), a candle closes and strategies run (`candle`), a signal is given
(`signal`). Each of these ends when the engine has nothing left to do. What must hold in every story is checked at its end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections

from signalist.accounts.models import Account
from signalist.accounts.paper_store import PaperStore
from signalist.accounts.sessions import Sessions
from signalist.clock import ReplayClock
from signalist.db.wakes import wakes
from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentKind
from signalist.domain.matching import Bar
from signalist.domain.protection import Plan
from signalist.domain.rules import Limits
from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow
from signalist.domain.timeframes import timeframe
from signalist.engine.database import DatabaseInline
from signalist.engine.loop import Engine
from signalist.engine.strategies import StrategyPool
from signalist.engine.venues import PublicMarket, paper_exchange
from signalist.events.models import Event
from signalist.execution.models import EngineProcess
from signalist.markets import feeds
from signalist.markets.models import AssetPair, FxRate, Instrument
from signalist.markets.selectors import forget_instruments
from signalist.sandbox.outcomes import Ran
from signalist.strategies import run as runs
from signalist.strategies.models import Schedule, Signal, Strategy, StrategyRun, StrategyVersion
from signalist.strategies.selectors import forget_schedules
from signalist.trading.actions import subscribe
from signalist.trading.models import Execution, Order, Position, Subscription, Trade
from signalist.trading.rebuild import differences
from signalist.trading.terms import Terms
from signalist.venues.base import Capabilities
from signalist.venues.paper.exchange import SymbolBar
from signalist.venues.paper.matching_desk import Terms as Market
from signalist.venues.paper.venue import CAPABILITIES, PAPER
from tenants.doors import across_tenants
from tenants.models import Tenant
from tests.flows.tricks import TrickedVenue

T = TypeVar("T")

MINUTE = timeframe("1m")
NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
# A market that fills whole orders at the price that is seen; fees are as ever.
CALM = Market(slippage=Decimal(0), partial_chance=Decimal(0))
HALVING = Market(slippage=Decimal(0), partial_chance=Decimal(1))
LONG, SHORT, EXIT_LONG, EXIT_SHORT = SignalKind.LONG, SignalKind.SHORT, SignalKind.EXIT_LONG, SignalKind.EXIT_SHORT
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b.*?(\w+)", re.IGNORECASE | re.DOTALL)
_SILENT = "from signalist_strategy import Signals\nparameters = {}\nhistory = 1\ndef signals(c, p): return Signals()\n"


class Scene:
    """The world. `market` is how the paper venue fills, `capabilities` what it is said to be able to do."""

    def __init__(
        self, market: Market = CALM, capabilities: Capabilities = CAPABILITIES, time_limit: float = 5.0
    ) -> None:
        forget_instruments()
        forget_schedules()
        wakes.clear()
        self.clock = ReplayClock(NOON)
        self.store = PaperStore()
        self._loop = asyncio.new_event_loop()
        self._database = DatabaseInline()
        self._public = PublicMarket()
        self._prices: dict[str, Decimal] = {}
        self.exchange = paper_exchange(self._public, self.clock, self._database, market)
        self.venue = TrickedVenue(self.exchange, capabilities)
        self.engine = Engine(Sessions({PAPER: self.venue}), self.clock, self._database, StrategyPool(time_limit))
        self.bare_writes: list[str] = []
        self.books_agree = True
        self.btc = self.instrument("BTC-PERP", "40000")
        self.crossover = self.strategy("crossover", self.btc)
        self.drive(self.engine.start())

    # --- The cast --------------------------------------------------------------------------------

    def instrument(
        self,
        symbol: str,
        price: str,
        *,
        pair: str | None = "BTC/USD",
        quote: str = "USD",
        tick: str = "0.1",
        kind: InstrumentKind = InstrumentKind.PERPETUAL,
    ) -> Instrument:
        """An instrument of the paper venue with a market at `price`; lots of a hundred-thousandth, a lot at least."""
        found = None if pair is None else AssetPair.objects.get_or_create(code=pair)[0]
        made = Instrument.objects.create(
            venue=PAPER,
            symbol=symbol,
            pair=found,
            base=symbol.partition("-")[0],
            quote=quote,
            kind=kind.value,
            tick=Decimal(tick),
            lot=Decimal("0.00001"),
            min_quantity=Decimal("0.00001"),
            min_notional=Decimal(1),
            max_leverage=Decimal(20),
        )
        self._public.refresh()
        self.price(price, made)
        return made

    def strategy(self, slug: str, instrument: Instrument, source: str = _SILENT, history: int = 1) -> Schedule:
        """A strategy on an instrument's minutes; by default one that says nothing of its own."""
        strategy = Strategy.objects.create(slug=slug, name=slug)
        version = StrategyVersion.objects.create(
            strategy=strategy, number=1, source=source, content_hash="", history=history, state="PUBLISHED"
        )
        return Schedule.objects.create(version=version, instrument=instrument, timeframe=MINUTE.code)

    def account(self, name: str = "Theo", *, deposit: str | None = "100000", currency: str = "USD") -> Account:
        """A tenant of one with a funded paper account; without a deposit the venue does not know the account."""
        tenant = Tenant.objects.create(name=name, base_currency=currency)
        ref = f"{name.lower()}-{tenant.pk}"
        made = Account.objects.create(tenant=tenant, name=name, venue=PAPER, venue_ref=ref, currency=currency)
        if deposit is not None:
            self.store.open_account(ref, currency, Decimal(deposit))
        self.drive(self.engine.watch())
        self.settle()
        return made

    def subscriber(
        self,
        name: str = "Theo",
        *,
        account: Account | None = None,
        deposit: str | None = "100000",
        capital: str = "100000",
        risk: str | None = "0.01",
        notional: str | None = None,
        leverage: str = "10",
        limits: Limits = Limits(),
        instrument: Instrument | None = None,
        schedule: Schedule | None = None,
        plan: Plan = Plan(),
    ) -> Subscription:
        """Someone who follows `schedule` (the crossover) on `instrument` (its own) since before the story began."""
        schedule = schedule or self.crossover
        instrument = instrument or schedule.instrument
        terms = Terms(
            Decimal(capital),
            None if risk is None or notional is not None else Decimal(risk),
            None if notional is None else Decimal(notional),
            Decimal(leverage),
            limits,
            plan,
        )
        account = account or self.account(name, deposit=deposit, currency=instrument.quote)
        return subscribe(account, schedule, instrument, terms, NOON - timedelta(hours=1), nets=CAPABILITIES.nets)

    def rate(self, base: str, quote: str, rate: str) -> None:
        """A dated exchange rate from before the story."""
        FxRate.objects.create(base=base, quote=quote, at=NOON - timedelta(days=1), rate=Decimal(rate))

    # --- What happens ----------------------------------------------------------------------------

    def price(self, price: str, instrument: Instrument | None = None) -> None:
        """The market stands at `price` from now on; resting orders that it reaches are filled."""
        instrument = instrument or self.btc
        value = Decimal(price)
        self._prices[instrument.symbol] = value
        self._public.set_price(instrument.symbol, value)
        feeds.take_prices([feeds.Price(instrument.pk, value, self.clock.now())])
        tick = SymbolBar(instrument.symbol, Bar.tick(value), self.clock.now(), self.clock.now())
        self.drive(self.exchange.on_bars([tick]))

    def minute(self, high: str | None = None, low: str | None = None, close: str | None = None) -> None:
        """A minute passes in which BTC-PERP reaches from `low` to `high` and ends at `close`; the engine then works."""
        self._pass(self._bar(high, low, close))
        self.settle()

    def candle(self, high: str | None = None, low: str | None = None, close: str | None = None) -> None:
        """As `minute`, and its candle is stored, so that strategies run on it."""
        bar = self._bar(high, low, close)
        self._pass(bar)
        feeds.take_candles([feeds.ClosedCandle(self.btc.pk, MINUTE, bar)], [])
        self.settle()
        self.drive(self.engine.run_due())
        self.settle()

    def signal(
        self, *said: SignalRow | SignalKind, schedule: Schedule | None = None, wait: bool = False
    ) -> list[Signal]:
        """A strategy says this about the candle that closed just now, and the engine works, unless it is to `wait`."""
        schedule = schedule or self.crossover
        said_rows = tuple(row if isinstance(row, SignalRow) else SignalRow(row) for row in said)
        run = StrategyRun.objects.create(
            schedule=schedule, candle_close=self.clock.now(), engine=self.engine.id, claimed_at=self.clock.now()
        )
        reference = self._prices[schedule.instrument.symbol]
        with across_tenants("tests"):
            runs.finish(run, Ran(said_rows, 1.0), reference, self.clock.now())
        if not wait:
            self.settle()
        return list(Signal.objects.filter(run=run).order_by("pk"))

    def later(self, seconds: float) -> None:
        """Time passes, and nothing else happens."""
        self.clock.advance_to(self.clock.now() + timedelta(seconds=seconds))

    def settle(self) -> None:
        """Let the engine work until it has nothing to do."""
        self.drive(self.engine.drain())

    def poll(self) -> None:
        """Let the engine ask everything, whether it was rung or not."""
        self.drive(self.engine.poll())
        self.settle()

    def starts_again(self) -> None:
        """Another engine takes over where this one, dead or stopped, has left off; the venue is as it was."""
        wakes.clear()
        self.engine.strategies.close()
        EngineProcess.objects.update(ended_at=self.clock.now())
        sessions = Sessions({PAPER: self.venue})
        self.engine = Engine(sessions, self.clock, self._database, StrategyPool())
        self.drive(self.engine.start())

    def stage(self, work: Callable[[datetime], T]) -> T:
        """Let one stage work once, now."""
        return self.drive(self._database(lambda: work(self.clock.now())))

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something of the engine's, and note what it writes outside a transaction."""
        with connection.execute_wrapper(self._noting):
            return self._loop.run_until_complete(_on(connections[DEFAULT_DB_ALIAS], coroutine))

    # --- What has become -------------------------------------------------------------------------

    def orders(self, subscription: Subscription, leg: str | None = None) -> list[Order]:
        """The subscription's orders, oldest first."""
        found = Order.objects.filter(subscription=subscription).order_by("pk")
        return list(found if leg is None else found.filter(leg=leg))

    def order(self, subscription: Subscription, leg: str) -> Order:
        """The newest order of a leg."""
        return self.orders(subscription, leg)[-1]

    def position(self, subscription: Subscription) -> Position:
        """The newest position."""
        return Position.objects.filter(subscription=subscription).latest("pk")

    def trade(self, subscription: Subscription) -> Trade:
        """The newest trade."""
        return Trade.objects.filter(subscription=subscription).latest("pk")

    def execution(self, subscription: Subscription) -> Execution:
        """The newest decision."""
        return Execution.objects.filter(subscription=subscription).latest("pk")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of the events of a kind, oldest first."""
        return list(Event.objects.filter(kind=kind).order_by("pk").values_list("payload", flat=True))

    def resting(self, subscription: Subscription) -> dict[str, Decimal]:
        """What rests in the venue's own book for the subscription's account: leg → open quantity."""
        ref = subscription.account.venue_ref
        return {o.tag.rpartition(":")[2]: o.remaining for o in self.store.resting() if o.ref == ref}

    def net(self, subscription: Subscription) -> Decimal:
        """The venue's own net position of the subscription's account."""
        ref = subscription.account.venue_ref
        return sum((p.quantity for p in self.store.open_positions() if p.ref == ref), Decimal(0))

    def unprotected(self) -> tuple[tuple[str, str], ...]:
        """The positions in the venue's book that no stop covers."""
        return self.drive(self.exchange.unprotected())

    # --- The end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the engine and forget what it knew."""
        self.drive(self.engine.stop())
        self._loop.close()
        wakes.clear()
        forget_instruments()
        forget_schedules()

    def check(self) -> None:
        """What holds in every story."""
        assert self.bare_writes == [], "written outside a unit of work"
        assert self.drive(self.exchange.audit()).duplicates == 0
        if self.books_agree:
            assert [str(difference) for difference in differences()] == []

    # --- Within ----------------------------------------------------------------------------------

    def _bar(self, high: str | None, low: str | None, close: str | None) -> Candle:
        before = self._prices[self.btc.symbol]
        last = Decimal(close) if close else before
        edges = [before, last, *(Decimal(edge) for edge in (high, low) if edge)]
        end = self.clock.now() + MINUTE.length
        return Candle(end, before, max(edges), min(edges), last, Decimal(1))

    def _pass(self, bar: Candle) -> None:
        begin = self.clock.now()
        self.clock.advance_to(bar.close_time)
        moves = [SymbolBar(self.btc.symbol, Bar(bar.open, bar.high, bar.low), begin, bar.close_time)]
        self.drive(self.exchange.on_bars(moves))
        self._prices[self.btc.symbol] = bar.close
        for symbol, price in self._prices.items():
            self.price(str(price), Instrument.objects.get(symbol=symbol))

    def _noting(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        written = _WRITES.match(sql)
        # The stage `run` claims and ends a quiet run in one statement each, which commits by itself and has its failpoint.
        if written and not connection.in_atomic_block and "strategies_strategyrun" not in sql:
            self.bare_writes.append(sql[:200])
        return execute(sql, params, many, context)


async def _on(own: Any, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run on this connection: every task would open one of its own, where nobody notes what is written, and leave it open."""
    connections[DEFAULT_DB_ALIAS] = own
    return await coroutine


@contextmanager
def opened(*arguments: Any, **named: Any) -> Iterator[Scene]:
    """A scene with the door open for the test, closed and checked at the end."""
    with across_tenants("tests"):
        scene = Scene(*arguments, **named)
        try:
            yield scene
            scene.check()
        finally:
            scene.close()


def entry(kind: SignalKind, stop: str | None = None, target: str | None = None) -> SignalRow:
    """What a strategy says to enter."""
    return SignalRow(kind, None if stop is None else float(stop), None if target is None else float(target))


def statuses(orders: Sequence[Order]) -> list[tuple[str, str]]:
    """(leg, status) of orders, for comparing."""
    return [(order.leg, order.status) for order in orders]
