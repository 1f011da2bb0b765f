"""Stage `run`: every closed candle runs every strategy that is due on it once, whoever asks, and never late."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections

from signalist.audit.models import Entry
from signalist.db import fast
from signalist.domain.candles import CandleArrays
from signalist.domain.lateness import TAKEN_OVER_WITHIN, run_within
from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow
from signalist.domain.timeframes import timeframe
from signalist.engine.strategies import StrategyPool
from signalist.events.models import Event
from signalist.markets.models import Candle, Instrument
from signalist.sandbox.outcomes import Failed, FailureKind, Ran
from signalist.sandbox.process import StrategyProcess
from signalist.strategies import gaps
from signalist.strategies.models import RunStatus, Schedule, Signal, Strategy, StrategyRun, StrategyVersion
from signalist.strategies.run import LOOK_BACK, _claim_statement, claim, finish, take_over
from signalist.strategies.selectors import forget_schedules
from signalist.strategies.suspending import resume, suspensions
from tenants.doors import across_tenants
from tenants.models import Tenant, User

NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)
QUIET = Ran((), 3.0)
PRICE = Decimal(40_000)
MINUTE = timeframe("1m")


def instrument(symbol: str = "BTC-PERP") -> Instrument:
    steps = {"tick": Decimal("0.1"), "lot": 1, "min_quantity": 1, "min_notional": 1}
    return Instrument.objects.create(venue="paper", symbol=symbol, base="BTC", quote="USD", kind="PERPETUAL", **steps)


def schedule(slug: str, on: Instrument, frame: str = "1m", *, is_active: bool = True) -> Schedule:
    strategy = Strategy.objects.create(slug=slug, name=slug)
    version = StrategyVersion.objects.create(
        strategy=strategy, number=1, source="", content_hash="", history=1, state="PUBLISHED"
    )
    return Schedule.objects.create(version=version, instrument=on, timeframe=frame, is_active=is_active)


def close(on: Instrument, at: datetime = NOON, frame: str = "1m") -> None:
    Candle.objects.create(
        instrument=on, timeframe=frame, close_time=at, open=PRICE, high=PRICE, low=PRICE, close=PRICE, volume=1
    )


@pytest.fixture(autouse=True)
def door(db: None) -> Iterator[None]:
    """The engine's door, and nothing known from the test before."""
    forget_schedules()
    with across_tenants("tests"):
        yield
    forget_schedules()


@pytest.fixture
def market() -> Instrument:
    return instrument()


@pytest.fixture
def due(market: Instrument) -> Schedule:
    """A strategy whose candle closed at noon."""
    made = schedule("crossover", market)
    close(market)
    return made


# --- Claiming ------------------------------------------------------------------------------------


def test_a_candle_is_claimed_once_however_often_it_is_asked_for(due: Schedule) -> None:
    (run,) = claim(FIRST, NOON)
    assert (run.schedule, run.candle_close, run.status, run.engine) == (due, NOON, RunStatus.CLAIMED, FIRST)
    assert claim(FIRST, NOON) == []
    assert claim(SECOND, NOON + timedelta(seconds=1)) == []
    assert StrategyRun.objects.get().engine == FIRST


def test_every_strategy_that_is_due_is_claimed_and_no_other(market: Instrument, due: Schedule) -> None:
    second = schedule("reversion", market)
    schedule("resting", market, is_active=False)
    schedule("slow", market, "5m")
    schedule("elsewhere", instrument("ETH-PERP"))
    assert {run.schedule_id for run in claim(FIRST, NOON)} == {due.pk, second.pk}


def test_a_candle_of_another_timeframe_is_another_candle(market: Instrument, due: Schedule) -> None:
    slow = schedule("slow", market, "5m")
    close(market, frame="5m")
    assert [(run.schedule_id, run.candle_close) for run in claim(FIRST, NOON)] == [(due.pk, NOON), (slow.pk, NOON)]


def test_claims_come_in_the_order_of_their_candles(market: Instrument, due: Schedule) -> None:
    close(market, NOON - timedelta(seconds=1))
    closes = [run.candle_close for run in claim(FIRST, NOON)]
    assert closes == sorted(closes) and len(closes) == 2


@pytest.mark.parametrize(("seconds", "status"), [(0, "CLAIMED"), (2, "CLAIMED"), (2.001, "SKIPPED"), (599, "SKIPPED")])
def test_a_candle_that_is_claimed_late_is_skipped(due: Schedule, seconds: float, status: str) -> None:
    won = claim(FIRST, NOON + timedelta(seconds=seconds))
    run = StrategyRun.objects.get()
    assert run.status == status
    if status == "SKIPPED":
        assert won == []
        assert (run.error_kind, run.finished_at) == ("late", NOON + timedelta(seconds=seconds))
        assert run.error == "The candle was claimed too long after its close; old candles are not traded."
    else:
        assert [one.pk for one in won] == [run.pk]
        assert run.finished_at is None


@pytest.mark.parametrize(
    ("frame", "seconds", "status"),
    [("5m", 10, "CLAIMED"), ("5m", 11, "SKIPPED"), ("1d", 60, "CLAIMED"), ("1d", 61, "SKIPPED")],
)
def test_a_longer_candle_may_be_later(market: Instrument, frame: str, seconds: int, status: str) -> None:
    on = schedule("slow", market, frame)
    midnight = NOON.replace(hour=0)
    close(market, midnight, frame=frame)
    now = midnight + timedelta(seconds=seconds)
    won = claim(FIRST, now)
    assert StrategyRun.objects.get(schedule=on).status == status
    if status == "CLAIMED":
        finish(won[0], Ran((SignalRow(SignalKind.LONG, 90.0),), 1.0), PRICE, now)
        assert Signal.objects.get().deadline >= midnight + timedelta(seconds=seconds + 8)


def test_candles_from_before_an_outage_are_not_caught_up(due: Schedule) -> None:
    assert claim(FIRST, NOON + timedelta(minutes=10)) == []
    assert not StrategyRun.objects.exists()


def test_a_candle_of_the_future_waits(market: Instrument) -> None:
    schedule("crossover", market)
    close(market, NOON + timedelta(minutes=1))
    assert claim(FIRST, NOON) == []
    assert len(claim(FIRST, NOON + timedelta(minutes=1))) == 1


@pytest.mark.django_db(transaction=True)
def test_engines_that_claim_at_the_same_time_share_the_candles(market: Instrument) -> None:
    for number in range(6):
        schedule(f"strategy-{number}", market)
    close(market)
    won: dict[uuid.UUID, list[int]] = {}
    together = threading.Barrier(3)

    def engine(name: uuid.UUID) -> None:
        together.wait()
        try:
            won[name] = [run.schedule_id for run in claim(name, NOON)]
        finally:
            connections.close_all()

    threads = [threading.Thread(target=engine, args=(uuid.uuid4(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed = [schedule_id for mine in won.values() for schedule_id in mine]
    assert len(won) == 3
    assert sorted(claimed) == sorted(Schedule.objects.values_list("pk", flat=True))
    assert StrategyRun.objects.count() == 6


# --- Taking over ---------------------------------------------------------------------------------


def test_a_dead_engines_claims_are_taken_over_and_its_finished_runs_are_not(market: Instrument, due: Schedule) -> None:
    (done,) = claim(FIRST, NOON)
    finish(done, QUIET, PRICE, NOON)
    close(market, NOON + timedelta(minutes=1))
    (left,) = claim(FIRST, NOON + timedelta(minutes=1))
    inherited = take_over(SECOND, {FIRST}, NOON + timedelta(minutes=1))
    assert [run.pk for run in inherited] == [left.pk]
    assert inherited[0].engine == SECOND
    assert StrategyRun.objects.get(pk=done.pk).engine == FIRST


def test_a_dead_engines_claim_that_is_too_old_when_another_comes_is_passed_over(due: Schedule) -> None:
    claim(FIRST, NOON)
    at = NOON + run_within(MINUTE) + TAKEN_OVER_WITHIN
    assert len(take_over(SECOND, {FIRST}, at)) == 1, "not a moment too early"
    assert take_over(uuid.UUID(int=3), {SECOND}, at + timedelta(milliseconds=1)) == []
    run = StrategyRun.objects.get()
    assert (run.status, run.error_kind) == (RunStatus.SKIPPED, "late")
    assert gaps.find(NOON + timedelta(seconds=59)) == 0
    due.refresh_from_db()
    assert due.decided_until == NOON, "which is a first look"


def test_a_run_that_is_under_way_is_decided_only_when_it_is_made(due: Schedule) -> None:
    gaps.find(NOON)
    claim(FIRST, NOON)
    assert gaps.find(NOON + timedelta(seconds=30)) == 0
    assert take_over(SECOND, {FIRST}, NOON + timedelta(seconds=30)) == []
    assert gaps.find(NOON + timedelta(seconds=31)) == 1, "nobody has looked past it"


def test_a_living_engines_claims_are_left_to_it(due: Schedule) -> None:
    claim(FIRST, NOON)
    assert take_over(SECOND, {uuid.UUID(int=3)}, NOON) == []
    assert StrategyRun.objects.get().engine == FIRST


def test_what_an_engine_answers_after_it_was_taken_over_from_is_ignored(due: Schedule) -> None:
    (stale,) = claim(FIRST, NOON)
    (mine,) = take_over(SECOND, {FIRST}, NOON)
    assert finish(stale, Ran((SignalRow(SignalKind.LONG, 39_600.0),), 1.0), PRICE, NOON) == 0
    assert StrategyRun.objects.get().status == RunStatus.CLAIMED
    assert not Signal.objects.exists()
    assert finish(mine, Ran((SignalRow(SignalKind.LONG, 39_600.0),), 1.0), PRICE, NOON) == 1


@pytest.mark.parametrize("answer", [QUIET, Ran((SignalRow(SignalKind.LONG),), 1.0), Failed(FailureKind.DIED, "gone")])
def test_a_run_is_finished_once(due: Schedule, answer: Ran | Failed) -> None:
    (run,) = claim(FIRST, NOON)
    finish(run, answer, PRICE, NOON)
    before = StrategyRun.objects.values().get()
    assert finish(run, Ran((SignalRow(SignalKind.SHORT),), 9.0), PRICE, NOON + timedelta(seconds=5)) == 0
    assert StrategyRun.objects.values().get() == before
    assert not Signal.objects.filter(kind="SHORT").exists()


# --- Answers -------------------------------------------------------------------------------------


def test_a_run_that_says_nothing_is_recorded_without_an_event(due: Schedule) -> None:
    (run,) = claim(FIRST, NOON)
    assert finish(run, QUIET, PRICE, NOON + timedelta(seconds=1)) == 0
    run.refresh_from_db()
    assert (run.status, run.duration_ms, run.finished_at) == (RunStatus.NO_SIGNAL, 3.0, NOON + timedelta(seconds=1))
    assert not Event.objects.exists()


def test_what_a_run_says_becomes_signals_of_its_own_instrument(due: Schedule) -> None:
    (run,) = claim(FIRST, NOON)
    rows = (SignalRow(SignalKind.EXIT_SHORT), SignalRow(SignalKind.LONG, 39_600.04, 40_800.06, 0.25, 0.5))
    assert finish(run, Ran(rows, 2.0), PRICE, NOON) == 2
    leaving, entering = Signal.objects.order_by("pk")
    assert (leaving.kind, entering.kind) == ("EXIT_SHORT", "LONG")
    assert (entering.stop, entering.target) == (Decimal("39600.0"), Decimal("40800.1"))  # on the price grid
    assert (entering.strength, entering.confidence) == (Decimal("0.25"), Decimal("0.5"))
    assert (leaving.stop, leaving.target, leaving.strength) == (None, None, None)
    assert entering.reference_price == PRICE
    assert (entering.candle_close, entering.emitted_at, entering.fanned_out_at) == (NOON, NOON, None)
    assert Event.objects.filter(kind="signal_generated", tenant_id=None).count() == 2


def test_an_entry_has_ten_seconds_or_a_whole_short_candle(market: Instrument, due: Schedule) -> None:
    short = schedule("scalper", market, "10s")
    close(market, frame="10s")
    for run in claim(FIRST, NOON):
        finish(run, Ran((SignalRow(SignalKind.LONG),), 1.0), PRICE, NOON)
    deadlines = dict(Signal.objects.values_list("schedule_id", "deadline"))
    assert deadlines == {due.pk: NOON + timedelta(seconds=10), short.pk: NOON + timedelta(seconds=10)}


def test_a_signals_name_says_strategy_version_instrument_candle_and_kind(due: Schedule) -> None:
    from signalist.domain.orders import NAMESPACE

    (run,) = claim(FIRST, NOON)
    finish(run, Ran((SignalRow(SignalKind.LONG),), 1.0), PRICE, NOON)
    name = "crossover@1|paper:BTC-PERP|2024-05-06T12:00:00Z_1m|LONG"
    assert Signal.objects.get().public_id == uuid.uuid5(NAMESPACE, name)


def test_a_failure_is_recorded_with_its_line_and_told(due: Schedule) -> None:
    (run,) = claim(FIRST, NOON)
    assert finish(run, Failed(FailureKind.RAISED, "KeyError: 'rsi'", 12), Decimal(0), NOON) == 0
    run.refresh_from_db()
    assert (run.status, run.error_kind, run.error, run.error_line) == (
        RunStatus.FAILED,
        "raised",
        "KeyError: 'rsi'",
        12,
    )
    told = Event.objects.get(kind="strategy_failed")
    assert told.payload == {
        "schedule": due.pk,
        "candle": NOON.isoformat(),
        "kind": "raised",
        "message": "KeyError: 'rsi'",
        "line": 12,
    }
    assert told.tenant_id is None


def test_an_answer_that_no_row_holds_is_a_failed_run_and_not_the_end_of_the_engine(due: Schedule) -> None:
    """The engine would die of it, and again at every restart, for the run would be taken up again."""
    (run,) = claim(FIRST, NOON)
    assert finish(run, Ran((SignalRow(SignalKind.LONG, 39_600.0, 1e30),), 1.0), PRICE, NOON) == 0
    run.refresh_from_db()
    assert (run.status, run.error_kind) == (RunStatus.FAILED, "bad_output")
    assert "cannot be recorded" in run.error
    assert not Signal.objects.exists()
    assert Event.objects.get().kind == "strategy_failed"
    assert take_over(SECOND, {FIRST}, NOON) == []


def test_a_run_that_breaks_the_engines_own_side_is_a_failed_run(due: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: StrategyProcess, arrays: CandleArrays) -> Ran:
        raise OverflowError("nobody thought of that")

    monkeypatch.setattr(StrategyProcess, "last", broken)
    (run,) = claim(FIRST, NOON)
    pool = StrategyPool()
    said = pool.answer(run, pool.window(run).at(NOON))
    assert said.outcome == Failed(FailureKind.DIED, "The run could not be made: OverflowError.")


def test_a_version_is_run_by_its_row_and_its_file_is_not_asked_how_far_it_looks_back(market: Instrument) -> None:
    made = schedule("moody", market)
    source = (
        "from signalist_strategy import Signals\ndef history(parameters):\n    raise ValueError('asked')\n"
        "def signals(candles, parameters):\n    return Signals(enter_long=candles.close > parameters.least)\n"
    )
    StrategyVersion.objects.update(source=source, parameters={"least": 1})
    close(market)
    (run,) = claim(FIRST, NOON)
    pool = StrategyPool()
    said = pool.answer(run, pool.window(run).at(NOON)).outcome
    pool.close()
    assert isinstance(said, Ran) and [row.kind for row in said.rows] == ["LONG"], said
    assert run.schedule == made


def test_a_strategy_that_times_out_three_times_in_a_row_is_run_no_more(market: Instrument) -> None:
    made, hangs = schedule("hanging", market), Failed(FailureKind.TIMED_OUT, "no answer")
    for minute, answer in enumerate([hangs, hangs, QUIET, hangs, hangs, hangs]):
        at = NOON + timedelta(minutes=minute)
        close(market, at)
        assert not Event.objects.filter(kind="strategy_suspended").exists()
        (run,) = claim(FIRST, at)
        finish(run, answer, PRICE, at)
    made.refresh_from_db()
    assert not made.is_active
    told = Event.objects.get(kind="strategy_suspended")
    assert (told.payload["schedule"], told.tenant_id) == (made.pk, None)
    assert "3 times in a row" in told.payload["message"]
    close(market, NOON + timedelta(minutes=6))
    assert claim(FIRST, NOON + timedelta(minutes=6)) == []

    version = StrategyVersion.objects.get(schedules=made)
    (found,) = suspensions(version)
    assert (found.schedule, found.failure and found.failure.error) == (made, "no answer")
    person = User.objects.create_user("author@example.com", "a password for tests only")
    home = Tenant.objects.create(name="Home", base_currency="USD").pk
    assert [resume(version, person, home, NOON), resume(version, person, home, NOON)] == [1, 0]
    assert Event.objects.get(kind="strategy_resumed").payload["schedule"] == made.pk
    assert Entry.objects.filter(action="strategy.version_resumed").count() == 1
    for minute in (7, 8, 9):
        close(market, NOON + timedelta(minutes=minute))
        assert Event.objects.filter(kind="strategy_suspended").count() == 1, "what it failed before is forgiven"
        (run,) = claim(FIRST, NOON + timedelta(minutes=minute))
        finish(run, hangs, PRICE, NOON + timedelta(minutes=minute))
    assert Event.objects.filter(kind="strategy_suspended").count() == 2


def test_a_signal_and_its_event_are_written_together_or_not_at_all(
    due: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(facts: object) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr("signalist.strategies.run.emit", broken)
    (run,) = claim(FIRST, NOON)
    with pytest.raises(RuntimeError, match="the log is full"):
        finish(run, Ran((SignalRow(SignalKind.LONG),), 1.0), PRICE, NOON)
    assert connection.in_atomic_block
    assert StrategyRun.objects.get().status == RunStatus.CLAIMED
    assert not Signal.objects.exists()


@pytest.mark.postgresql
def test_a_claim_reads_none_of_the_runs_that_are_long_over() -> None:
    """A planner without statistics looks a schedule's runs up by the schedule alone. SQLite's plan does not depend on them."""
    market = instrument()
    due = schedule("crossover", market)
    StrategyRun.objects.bulk_create(
        StrategyRun(
            schedule=due, candle_close=NOON - timedelta(minutes=n), engine=FIRST, claimed_at=NOON, status="NO_SIGNAL"
        )
        for n in range(1, 600)
    )
    Candle.objects.bulk_create(
        Candle(
            instrument=market,
            timeframe="1m",
            close_time=NOON - timedelta(minutes=n),
            open=1,
            high=1,
            low=1,
            close=1,
            volume=1,
        )
        for n in range(600)
    )
    statement, parameters = _claim_statement(SECOND, NOON)
    (plan,) = fast.tuples(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters)[0]

    read = [part for part in _parts(plan[0]["Plan"]) if part.get("Alias") == "r"]
    assert [part["Actual Rows"] * part["Actual Loops"] for part in read] != []
    assert sum(part["Actual Rows"] * part["Actual Loops"] for part in read) <= (LOOK_BACK / timedelta(minutes=1)) ** 2


def _parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _parts(part)
