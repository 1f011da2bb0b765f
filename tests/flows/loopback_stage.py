"""A stage on which engines of their own processes trade at the loopback venue, die, freeze, and are followed by others.

What is true is read from the venue's book; our rows are compared with it. Market time is the test's: it stands still while no engine
is up, so that no story depends on how fast this machine starts one.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.clock import utc_now
from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentKind
from signalist.domain.orders import ACTIVE
from signalist.domain.timeframes import timeframe
from signalist.engine.bench.house import secret_of
from signalist.execution.models import EngineProcess
from signalist.markets import feeds
from signalist.markets.models import AssetPair, Instrument
from signalist.strategies.models import RunStatus, Schedule, Signal, Strategy, StrategyRun, StrategyVersion
from signalist.trading.actions import subscribe
from signalist.trading.models import (
    AccountBalance,
    AttemptAction,
    Execution,
    Fill,
    Order,
    OrderAttempt,
    Position,
    Trade,
)
from signalist.trading.rebuild import differences
from signalist.trading.terms import Terms
from signalist.venues.loopback.venue import LOOPBACK
from tenants.doors import across_tenants
from tenants.models import Tenant
from tests.flows.commands import ROOT, OwnDatabase
from tests.flows.market_time import FileClock

SYMBOL = "BTC-PERP"
DEPOSIT = Decimal(100_000)
FIRST_PRICE = Decimal(40_000)
MINUTE = timeframe("1m")
PATIENCE = 30.0
# Where readers keep nobody waiting, what is looked at again and again is looked at in one transaction: it costs a third.
AT_ONCE = connection.vendor == "postgresql"
NEVER_ARRIVED = "the venue never received it"
UP_AND_DOWN = """
from signalist_strategy import Signals

parameters = {}
history = 1


def signals(candles, parameters):
    return Signals(
        enter_long=candles.close > candles.open, exit_long=candles.close < candles.open,
        stop_long=candles.close * 0.98, target_long=candles.close * 1.04,
    )
"""


class Venue:
    """The loopback venue in a process of its own, and its control endpoint."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "signalist.venues.loopback.server", "--latency-ms", "10", *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        self._port, self._token = said["port"], said["control"]
        self.address = f"http://127.0.0.1:{self._port}"

    def control(self, name: str, **said: Any) -> Any:
        """Have it do something; see `signalist/venues/loopback/control.py`."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", f"/control/{name}", json.dumps(said), {"X-Control": self._token})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        assert response.status == 200, answer
        return answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class Nursery:
    """The process whose children are engines."""

    def __init__(self, database: OwnDatabase, address: str, clock: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.loopback_nursery", address, str(clock)],
            cwd=ROOT,
            env=database.environment(OPENBLAS_NUM_THREADS="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, **request: object) -> Any:
        """What it answers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        assert ready, "the nursery does not answer"
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it and whatever it has forked."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@dataclass(slots=True)
class Engine:
    """An engine's process. `armed`: the failpoint at which it dies; `status`: how it ended, once that is known."""

    pid: int
    armed: str
    status: int | None = None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


@dataclass(slots=True)
class Stage:
    """The world of one test."""

    venue: Venue
    nursery: Nursery
    clock: FileClock
    log: Path
    refs: Sequence[str] = ()
    schedule: Schedule | None = None
    price: Decimal = FIRST_PRICE
    lives: list[str] = field(default_factory=list)
    """Where the engines to come are to die, the next one first; one that is to live when it is empty."""
    engines: list[Engine] = field(default_factory=list)
    watches: bool = False
    """Whether engines take the venue for one that keeps no stop and no target, and watch prices themselves."""
    nameless: bool = False
    """Whether engines take it for one that knows no ids of ours."""

    # --- Engines ---------------------------------------------------------------------------------

    def start(self, armed: str = "", *, wait: bool = True, count: Path | None = None) -> Engine:
        """Start an engine. With `wait` market time stands still until it is in the list of engines, or dead."""
        self.clock.hold()
        known = EngineProcess.objects.count()
        kind = {"watches": self.watches, "nameless": self.nameless}
        pid = self.nursery.ask(failpoint=armed, log=str(self.log), count=str(count or ""), **kind)
        engine = Engine(pid, armed)
        self.engines.append(engine)
        if wait:
            self.wait(
                lambda: EngineProcess.objects.count() > known or self.ended(engine), "an engine is up", tend=False
            )
        self.clock.run()
        return engine

    def ended(self, engine: Engine) -> bool:
        """Whether it has; `engine.status` says how."""
        if engine.status is None:
            engine.status = self.nursery.ask(ended=engine.pid)
        return engine.status is not None

    def tend(self) -> None:
        """Start an heir where nobody is left."""
        living = [engine for engine in self.engines if not self.ended(engine)]
        if not living:
            self.clock.hold()
            self.start(self.lives.pop(0) if self.lives else "")

    @property
    def deaths(self) -> list[str]:
        """The failpoints at which engines have died, in order."""
        ended = [engine for engine in self.engines if self.ended(engine)]
        assert {engine.status for engine in ended} <= {0, -signal.SIGKILL}, self.said()[-2000:]
        return [engine.armed for engine in ended if engine.status]

    def arm(self) -> None:
        """From now on the newest engine dies where it is to die."""
        self.engines[-1].send(signal.SIGUSR1)

    def wait(self, happened: Callable[[], Any], what: str, patience: float = PATIENCE, *, tend: bool = True) -> None:
        """Wait until something happened, and see to it that there is an engine."""
        deadline = time.monotonic() + patience
        while not happened():
            if tend:
                self.tend()
            assert time.monotonic() < deadline, (
                f"not within {patience:.0f} s: {what}; {self.why()}\n{self.said()[-3000:]}"
            )
            time.sleep(0.03)

    def stop(self) -> None:
        """Ask the last engine to stop in good order."""
        engine = self.engines[-1]
        engine.send(signal.SIGTERM)
        self.wait(lambda: self.ended(engine), "it stops", tend=False)

    def clear(self) -> None:
        """End all engines, however they are."""
        for engine in self.engines:
            if not self.ended(engine):
                engine.send(signal.SIGKILL)
        for engine in self.engines:
            self.wait(lambda engine=engine: self.ended(engine), "they are gone", tend=False)  # type: ignore[misc]

    def said(self) -> str:
        """What the engines have said."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    # --- The market ------------------------------------------------------------------------------

    def candle(self, change: int) -> None:
        """A candle closes whose close is so far from its open, and its close is the price from now on."""
        assert self.schedule is not None
        opened = self.price
        close = MINUTE.next_close(self.clock.now())
        self.price = opened + change
        candle = Candle(close, opened, max(opened, self.price), min(opened, self.price), self.price, Decimal(1))
        self.clock.set(close, runs=False)
        self.venue.control("prices", prices={SYMBOL: str(self.price)})
        key = self.schedule.instrument_id
        with across_tenants("feed"):
            feeds.take_candles([feeds.ClosedCandle(key, MINUTE, candle)], [feeds.Price(key, self.price, close)])
        self.clock.run()

    def tick(self, change: str) -> None:
        """The market moves by so much, and reaches what rests there."""
        assert self.schedule is not None
        self.price += Decimal(change)
        self.venue.control("prices", prices={SYMBOL: str(self.price)})
        with across_tenants("feed"):
            feeds.take_prices([feeds.Price(self.schedule.instrument_id, self.price, self.clock.now())])

    def settle(self, patience: float = PATIENCE) -> None:
        """Wait until nothing is left to do and everything that happened at the venue is known: twice, for a look takes its time."""
        self.wait(lambda: not self.why() and not self.why(), "everything is done", patience)

    def why(self) -> list[str]:
        """What is left to do; nothing when all is quiet."""
        if self.fills() != self.booked():
            return ["fills that are not booked"]
        active = [status.value for status in ACTIVE]
        # What the engine watches waits for the market, as what rests at a venue does.
        in_hand = (Q(status__in=["CREATED", "SENDING", "UNKNOWN"]) & ~Q(status="CREATED", watched=True)) | Q(busy=True)
        wanted = Q(status__in=active) & (Q(cancel_wanted=True) | Q(wanted_quantity__isnull=False))
        with across_tenants("tests", one_transaction=AT_ONCE):
            left = {
                "runs": StrategyRun.objects.filter(status=RunStatus.CLAIMED).count(),
                "candles": int(self._unrun()),
                "signals": Signal.objects.filter(fanned_out_at=None).count(),
                "decisions": Execution.objects.filter(status="PENDING").count(),
                "orders": list(Order.objects.filter(in_hand | wanted).values_list("leg", "status", "reason")),
                "positions": Position.objects.filter(protection_due=True).count(),
                "trades": Trade.objects.filter(measured=False).count(),
            }
        return [f"{name}: {what}" for name, what in left.items() if what]

    def _unrun(self) -> bool:
        from signalist.markets.models import Candle as Row

        return Row.objects.count() > StrategyRun.objects.count()

    # --- What is true ----------------------------------------------------------------------------

    def book(self) -> Mapping[str, Any]:
        """The venue's book of this stage's accounts, with orders and fills."""
        book = self.venue.control("book", prefix=self.refs[0].rpartition("-")[0], orders=True)
        return {ref: book[ref] for ref in self.refs}

    def fills(self) -> set[tuple[str, str]]:
        """(account, fill) in the venue's book."""
        return {(ref, fill[0]) for ref, one in self.book().items() for fill in one["fills"]}

    def booked(self) -> set[tuple[str, str]]:
        """(account, fill) in ours."""
        with across_tenants("tests", one_transaction=AT_ONCE):
            return set(Fill.objects.values_list("account__venue_ref", "venue_fill_id"))

    def lost(self) -> set[str]:
        """The accounts whose entry our rows say never arrived."""
        with across_tenants("tests"):
            gone = Order.objects.filter(leg="ENTRY", status="REJECTED")
            assert set(gone.values_list("reason", flat=True)) <= {NEVER_ARRIVED}
            return set(gone.values_list("account__venue_ref", flat=True))

    def check(self, *, entries: int = 1) -> None:
        """`entries` for each account but those that are lost, one stop that covers what is open, the same money and results in the
        venue's book and in ours, and no order that was sent twice."""
        lost = self.lost()
        for ref, one in self.book().items():
            expected = entries - (ref in lost)
            taken = [order for order in one["orders"] if not order[-1]]
            assert (len(taken), one["duplicates"]) == (expected, 0), (ref, taken)
            net = {symbol: Decimal(quantity) for symbol, quantity in one["net"].items()}
            stops = [(symbol, Decimal(quantity)) for symbol, quantity, _ in one["stops"]]
            assert stops == [(symbol, abs(quantity)) for symbol, quantity in net.items()], (ref, stops, net)
            self._check_money(ref, one, net)
        with across_tenants("tests"):
            sent = Counter(OrderAttempt.objects.filter(action=AttemptAction.PLACE).values_list("order_id", flat=True))
            assert set(sent.values()) <= {1}, "an order was sent twice"
            assert [str(difference) for difference in differences()] == []
            decided = Counter(Execution.objects.values_list("signal_id", "subscription_id"))
            assert set(decided.values()) <= {1}

    def _check_money(self, ref: str, one: Mapping[str, Any], net: Mapping[str, Decimal]) -> None:
        total = Decimal(one["balance"][1])
        spent = Decimal(0)
        for _, _, side, quantity, price, fee in one["fills"]:
            value = Decimal(quantity) * Decimal(price)
            spent += (value if side == "BUY" else -value) + Decimal(fee)
        with across_tenants("tests"):
            balance = AccountBalance.objects.get(account__venue_ref=ref)
            held = {
                symbol: quantity if direction == "LONG" else -quantity
                for symbol, quantity, direction in Position.objects.filter(
                    account__venue_ref=ref, is_open=True
                ).values_list("instrument__symbol", "quantity", "direction")
            }
            earned = sum(Trade.objects.filter(account__venue_ref=ref).values_list("net", flat=True), Decimal(0))
        assert balance.total == total, f"{ref} has {total} at its venue and {balance.total} in our books"
        assert held == dict(net), f"{ref} holds {net} at its venue and {held} in our books"
        if not net:
            assert round(DEPOSIT - spent, 8) == round(total, 8) == round(DEPOSIT + earned, 8)


_numbers = iter(range(1, 1_000_000))


def anew(stage: Stage, subscribers: int) -> None:
    """A strategy that goes long on a candle that rises and leaves on one that falls, and who follows it, each with a fresh account."""
    stage.price, stage.lives, stage.engines = FIRST_PRICE, [], []
    prefix = f"stage{os.getpid()}x{next(_numbers)}"
    stage.refs = [f"{prefix}-{n:04d}" for n in range(subscribers)]
    stage.clock.set(utc_now().replace(second=30, microsecond=0))
    with across_tenants("tests"):
        instrument = Instrument.objects.create(
            venue=LOOPBACK,
            symbol=SYMBOL,
            pair=AssetPair.objects.create(code="BTC/USD"),
            base="BTC",
            quote="USD",
            kind=InstrumentKind.PERPETUAL.value,
            tick=Decimal("0.1"),
            lot=Decimal("0.0001"),
            min_quantity=Decimal("0.0001"),
            min_notional=Decimal(5),
            max_leverage=Decimal(20),
        )
        strategy = Strategy.objects.create(slug="up-and-down", name="Up and down")
        version = StrategyVersion.objects.create(
            strategy=strategy, number=1, source=UP_AND_DOWN, content_hash="", history=1, state="PUBLISHED"
        )
        stage.schedule = Schedule.objects.create(version=version, instrument=instrument, timeframe=MINUTE.code)
        for ref in stage.refs:
            tenant = Tenant.objects.create(name=ref, base_currency="USD")
            account = Account.objects.create(tenant=tenant, name=ref, venue=LOOPBACK, venue_ref=ref, currency="USD")
            terms = Terms(DEPOSIT, None, Decimal("0.1"), Decimal(5))
            subscribe(account, stage.schedule, instrument, terms, stage.clock.now() - timedelta(hours=1), nets=True)
    spec = instrument.spec()
    names = "venue symbol base quote kind tick lot min_quantity min_notional max_leverage".split()
    stage.venue.control("faults", clear=True)
    stage.venue.control("instruments", instruments=[{name: str(getattr(spec, name)) for name in names}])
    stage.venue.control("prices", prices={SYMBOL: str(stage.price)})
    accounts = [[ref, secret_of(ref).decode()] for ref in stage.refs]
    stage.venue.control("accounts", currency="USD", cash=str(DEPOSIT), accounts=accounts)


@contextmanager
def staged(venue: Venue, nursery: Nursery, clock: FileClock, folder: Path, subscribers: int) -> Iterator[Stage]:
    """A stage with its cast; no engine outlives it."""
    stage = Stage(venue, nursery, clock, folder / "engines.log")
    anew(stage, subscribers)
    try:
        yield stage
    finally:
        stage.clear()
