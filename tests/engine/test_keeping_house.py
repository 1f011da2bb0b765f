"""The hourly job: what is let go when it is old, and what never is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.domain.timeframes import timeframe
from signalist.execution.jobs import retire_engines
from signalist.execution.models import EngineProcess
from signalist.markets import synthetic
from signalist.markets.jobs import market_time, retire_candles
from signalist.markets.listings import keep_listing
from signalist.markets.models import Candle, Instrument, LatestPrice
from signalist.markets.recordings import read_recording
from signalist.strategies.jobs import retire_runs
from signalist.strategies.models import RunStatus, Schedule, Signal, Strategy, StrategyRun, StrategyVersion
from tenants.doors import across_tenants

NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def door(db: None) -> Iterator[None]:
    """The job's door."""
    with across_tenants("tests"):
        yield


@pytest.fixture
def instrument() -> Instrument:
    """An instrument of the synthetic market."""
    return synthetic.instruments()["NOVA/USD"]


@pytest.fixture
def schedule(instrument: Instrument) -> Schedule:
    """A strategy that runs on it."""
    strategy = Strategy.objects.create(slug="quiet", name="Quiet")
    version = StrategyVersion.objects.create(
        strategy=strategy, number=1, source="", content_hash="", history=1, state="PUBLISHED"
    )
    return Schedule.objects.create(version=version, instrument=instrument, timeframe="1m")


def candle(instrument: Instrument, code: str, close: datetime) -> None:
    Candle.objects.create(
        instrument=instrument, timeframe=code, close_time=close, open=1, high=1, low=1, close=1, volume=1
    )


def run(schedule: Schedule, close: datetime, status: RunStatus, engine: uuid.UUID | None = None) -> StrategyRun:
    return StrategyRun.objects.create(
        schedule=schedule, candle_close=close, status=status, engine=engine or uuid.uuid4(), claimed_at=close
    )


def ended(at: datetime | None, *, taken_over: bool = True) -> EngineProcess:
    return EngineProcess.objects.create(
        boot="elsewhere", pid=7, started_at=NOON - 90 * DAY, seen_at=NOON, ended_at=at, taken_over=taken_over
    )


def test_ten_second_candles_are_kept_for_two_days_and_longer_ones_for_good(instrument: Instrument) -> None:
    for code in ("10s", "1m"):
        for age in (3 * DAY, 2 * DAY + timedelta(minutes=1), 2 * DAY, DAY):
            candle(instrument, code, NOON - age)
    assert retire_candles(NOON) == 2
    kept = Candle.objects.order_by("timeframe", "close_time").values_list("timeframe", "close_time")
    assert list(kept)[:2] == [("10s", NOON - 2 * DAY), ("10s", NOON - DAY)]
    assert len(kept) == 6
    asked = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert retire_candles(NOON) == 0
        asked.append(len(queries))
        # A venue's list names hundreds of markets that nobody is fed from.
        keep_listing("loop", [replace(instrument.spec(), venue="loop", symbol=f"N{n}/USD") for n in range(9)], NOON)
    assert asked[0] == asked[1]


def test_candles_are_in_the_archive_before_they_go_and_can_be_read_back(
    instrument: Instrument, settings: Any, tmp_path: Path
) -> None:
    settings.CANDLE_DAYS, settings.CANDLE_ARCHIVE = {"1m": 30}, str(tmp_path / "archive")
    for minutes in range(3):
        candle(instrument, "1m", NOON - 31 * DAY - timedelta(minutes=minutes))
    candle(instrument, "1m", NOON - DAY)
    candle(instrument, "10s", NOON - 31 * DAY)
    assert retire_candles(NOON) == 4
    (file,) = (tmp_path / "archive").rglob("*.*")
    assert file.name.endswith(".csv.gz") and len(read_recording(file, timeframe("1m"))) == 3
    # Where it cannot be written, nothing goes.
    settings.CANDLE_DAYS, settings.CANDLE_ARCHIVE = {"1m": 1}, str(file)
    candle(instrument, "1m", NOON - 2 * DAY)
    with pytest.raises(OSError, match=str(file)):
        retire_candles(NOON)
    assert Candle.objects.count() == 2


def test_what_is_old_in_a_recorded_market_is_old_by_its_own_time(instrument: Instrument) -> None:
    assert market_time(NOON) == NOON
    LatestPrice.objects.create(instrument=instrument, price=1, at=NOON - 300 * DAY)
    assert market_time(NOON) == NOON - 300 * DAY
    LatestPrice.objects.update(at=NOON + DAY)
    assert market_time(NOON) == NOON


def test_runs_that_said_nothing_are_kept_for_thirty_days_and_all_others_for_good(schedule: Schedule) -> None:
    old = NOON - 31 * DAY
    for minute, status in enumerate(RunStatus):
        run(schedule, old + minute * timedelta(minutes=1), status)
    told = run(schedule, old - DAY, RunStatus.NO_SIGNAL)  # whatever it says of itself, what it said stands
    Signal.objects.create(
        public_id=uuid.uuid4(),
        run=told,
        schedule=schedule,
        kind="LONG",
        candle_close=told.candle_close,
        reference_price=Decimal(1),
        emitted_at=told.candle_close,
        deadline=told.candle_close,
    )
    young = run(schedule, NOON - 29 * DAY, RunStatus.NO_SIGNAL)
    assert retire_runs(NOON) == 2
    assert set(StrategyRun.objects.values_list("status", flat=True)) == set(RunStatus) - {RunStatus.SKIPPED}
    assert set(StrategyRun.objects.filter(status=RunStatus.NO_SIGNAL)) == {told, young}


def test_engines_that_ended_are_kept_for_thirty_days_or_as_long_as_anything_is_in_their_hands(
    schedule: Schedule,
) -> None:
    old = NOON - 31 * DAY
    gone, young, living, not_taken_over, with_a_run = (
        ended(old),
        ended(NOON - 29 * DAY),
        ended(None, taken_over=False),
        ended(old, taken_over=False),
        ended(old),
    )
    run(schedule, old, RunStatus.CLAIMED, with_a_run.pk)
    run(schedule, old - DAY, RunStatus.SUCCESS, gone.pk)
    assert retire_engines(NOON) == 1
    assert set(EngineProcess.objects.all()) == {young, living, not_taken_over, with_a_run}
