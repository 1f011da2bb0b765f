"""`manage.py engine` as processes: one trades what feeds store, two share it without doing anything twice, and one survives the other."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Q

from signalist.accounts.models import PaperTape
from signalist.domain.candles import Candle
from signalist.domain.orders import Leg, OrderStatus
from signalist.domain.timeframes import timeframe
from signalist.engine.replay_cast import Cast, Plan, set_up, twin_candle
from signalist.events.models import Event
from signalist.execution.models import EngineProcess
from signalist.markets import feeds
from signalist.markets.recordings import read_recording
from signalist.strategies.models import RunStatus, Signal, Strategy, StrategyRun, StrategyVersion
from signalist.trading.models import AccountBalance, Execution, ExecutionStatus, Order, Position, Trade
from tenants.doors import across_tenants
from tests.flows.books import assert_books_balance
from tests.flows.commands import Databases, OwnDatabase, engine, manage, of_the_test_run
from tests.flows.forks import Started
from tests.flows.loopback_stage import AT_ONCE
from tests.flows.recordings import swings

MINUTE = timeframe("1m")
SUBSCRIBERS = 5
PATIENCE = 60.0
TURNS = """
import numpy as np
from signalist_strategy import Signals

parameters = {}
history = 2


def signals(candles, parameters):
    turn = candles.time // 60 % 6
    return Signals(
        enter_long=turn == 0, exit_long=turn == 3, enter_short=turn == 3, exit_short=turn == 5,
        stop_long=candles.close * 0.997, target_long=candles.close * 1.004,
        stop_short=candles.close * 1.003, target_short=candles.close * 0.996,
    )
"""

pytestmark = pytest.mark.django_db(transaction=True)


def until(happened: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until something happened."""
    deadline = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < deadline, f"not within {patience:.0f} s: {what}"
        time.sleep(0.04)


@dataclass(slots=True)
class Feed:
    """Stores candles one by one in the database of the test run, where engines find them."""

    cast: Cast
    candles: Sequence[Candle]
    fed: int = 0

    def __next__(self) -> datetime:
        """Store the next candle and its twin, and the prices at which they closed."""
        candle = self.candles[self.fed]
        twin = twin_candle(candle, self.cast.twin.tick, 0)
        pairs = ((self.cast.recorded, candle), (self.cast.twin, twin))
        with across_tenants("feed"):
            feeds.take_candles(
                [feeds.ClosedCandle(instrument.pk, MINUTE, value) for instrument, value in pairs],
                [feeds.Price(instrument.pk, value.close, value.close_time) for instrument, value in pairs],
            )
        self.fed += 1
        return candle.close_time

    def quietly(self, count: int) -> None:
        """Store `count` candles, each when nothing is left to do about the one before."""
        for _ in range(count):
            close = next(self)
            until(lambda close=close: self.is_quiet(close), f"everything about {close:%H:%M} is done")  # type: ignore[misc]

    def is_quiet(self, close: datetime) -> bool:
        """Whether the candle was run, and no stage has anything left to do."""
        in_hand = Q(status__in=[OrderStatus.CREATED, OrderStatus.SENDING, OrderStatus.UNKNOWN]) | Q(busy=True)
        wanted = Q(cancel_wanted=True) | Q(wanted_quantity__isnull=False)
        active = [OrderStatus.CREATED, OrderStatus.WORKING, OrderStatus.PARTIAL]
        with across_tenants("tests", one_transaction=AT_ONCE):
            # The market has taken a part of these exits, and takes the rest with its next move; the entry behind them waits for it.
            half_out = Order.objects.filter(leg=Leg.EXIT, status=OrderStatus.PARTIAL).values_list("subscription_id")
            return (
                StrategyRun.objects.filter(candle_close=close).exclude(status=RunStatus.CLAIMED).exists()
                and not Signal.objects.filter(fanned_out_at__isnull=True).exists()
                and not Execution.objects.filter(status=ExecutionStatus.PENDING)
                .exclude(subscription_id__in=half_out)
                .exists()
                and not Order.objects.filter(in_hand).exists()
                and not Order.objects.filter(wanted, status__in=active).exists()
                and not Position.objects.filter(protection_due=True).exists()
                and not Trade.objects.filter(measured=False).exists()
                and self._all_is_read()
            )

    def _all_is_read(self) -> bool:
        read = {b.account.venue_ref: int(b.cursor or 0) for b in AccountBalance.objects.select_related("account")}
        newest = dict(PaperTape.objects.order_by("id").values_list("ref", "id"))
        return all(read.get(ref) == line for ref, line in newest.items())


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    """Five subscribers of a strategy that turns round every three minutes; nothing is stored of its market yet."""
    recording = swings(tmp_path / "swings.csv", 80, seed=4)
    candles = read_recording(recording, MINUTE)
    with across_tenants("tests"):
        strategy = Strategy.objects.create(slug="turns", name="Turns")
        StrategyVersion.objects.create(
            strategy=strategy, number=1, source=TURNS, content_hash="", history=2, state="PUBLISHED"
        )
        cast = set_up(Plan(recording, "BTC-PERP", MINUTE, "turns", SUBSCRIBERS, 0), candles)
    return Feed(cast, candles)


@pytest.fixture
def database() -> OwnDatabase:
    """The database of the test run, for processes."""
    return of_the_test_run(connection)


@contextmanager
def engines(database: OwnDatabase, *armed: str) -> Iterator[list[Started]]:
    """An engine for each of `armed`, a failpoint to die at or nothing; none outlives the test."""
    with ExitStack() as stack:
        started = [stack.enter_context(engine(database, "--clock", "market", SIGNALIST_FAILPOINT=at)) for at in armed]
        for process in started:
            stack.callback(process.kill)
        until(lambda: _living(started) == len(armed), "the engines are up")
        yield started


def _living(started: Sequence[Started]) -> int:
    assert all(process.poll() is None for process in started), "an engine ended at once"
    return EngineProcess.objects.filter(ended_at__isnull=True).count()


def stopped(process: Started) -> int:
    """Ask an engine to stop; its exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=30)


def assert_everything_happened_once(feed: Feed) -> None:
    """A run for each candle, none passed over; an execution and one event of its decision for each signal and subscriber."""
    runs = list(StrategyRun.objects.values_list("candle_close", "status"))
    assert Counter(close for close, _ in runs) == Counter(candle.close_time for candle in feed.candles[: feed.fed])
    assert {status for _, status in runs} == {RunStatus.SUCCESS, RunStatus.NO_SIGNAL}
    with across_tenants("tests"):
        signals = list(Signal.objects.values_list("pk", flat=True))
        executions = list(Execution.objects.values_list("pk", "signal_id", "subscription_id"))
        events = Event.objects.filter(kind="execution_decided").values_list("payload__execution", flat=True)
        decided = Counter(events)
        taken = Execution.objects.filter(status__in=["TAKEN", "RESIZED"]).count()
        # The market has taken a part of these exits when the feed ended: the entries behind them still wait.
        half_out = Order.objects.filter(leg=Leg.EXIT, status=OrderStatus.PARTIAL).values_list("subscription_id")
        pending = Execution.objects.filter(status=ExecutionStatus.PENDING)
        assert not pending.exclude(subscription_id__in=half_out).exists()
        waiting = set(pending.values_list("pk", flat=True))
    assert Counter(signal_id for _, signal_id, _ in executions) == dict.fromkeys(signals, SUBSCRIBERS)
    assert len({(signal_id, subscription) for _, signal_id, subscription in executions}) == len(executions)
    assert decided == dict.fromkeys([pk for pk, _, _ in executions if pk not in waiting], 1)
    assert taken > 2 * SUBSCRIBERS


def test_an_engine_trades_what_a_feed_stores_and_stops_in_good_order(feed: Feed, database: OwnDatabase) -> None:
    with engines(database, "") as (only,):
        feed.quietly(14)
        assert stopped(only) == 0
    assert_everything_happened_once(feed)
    assert_books_balance(database)
    assert EngineProcess.objects.get().ended_at is not None


@pytest.mark.postgresql
@pytest.mark.parametrize("minutes", [24, pytest.param(60, marks=pytest.mark.soak)])
def test_two_engines_run_every_candle_once_and_decide_every_execution_once(
    minutes: int, feed: Feed, database: OwnDatabase
) -> None:
    with engines(database, "", "") as (first, second):
        feed.quietly(minutes)
        assert [stopped(first), stopped(second)] == [0, 0]
    assert_everything_happened_once(feed)
    assert_books_balance(database)
    busy = set(StrategyRun.objects.values_list("engine", flat=True))
    assert busy == set(EngineProcess.objects.values_list("pk", flat=True)), "one of the engines did nothing"


@pytest.mark.postgresql
@pytest.mark.parametrize("armed", ["run.claim.committed:9", "place.claim.committed:6"])
def test_an_engine_takes_over_from_one_that_dies(armed: str, feed: Feed, database: OwnDatabase) -> None:
    with engines(database, armed, "") as (mortal, survivor):
        while mortal.poll() is None:
            feed.quietly(1)
        assert mortal.returncode == -signal.SIGKILL
        assert feed.fed < 60, "it died too late to show anything"
        feed.quietly(5)
        assert stopped(survivor) == 0
    assert_everything_happened_once(feed)
    assert_books_balance(database)


def test_a_second_engine_on_sqlite_is_refused_with_a_sentence(databases: Databases, migrated: OwnDatabase) -> None:
    database = databases.copy(migrated)
    with engine(database) as first:
        try:
            counted = "SELECT COUNT(*) FROM execution_engineprocess"
            until(lambda: first.poll() is not None or database.rows(counted) == [(1,)], "the first is up")
            second = manage(database, "engine")
            assert second.status == 2
            assert second.out == ""
            sentence = f"An engine already runs on this database (process {first.pid}); stop it first."
            assert sentence in second.err.splitlines()
            assert "Traceback" not in second.err
        finally:
            status = stopped(first)
    assert status == 0
