"""Two engines that may both feed from a venue, as processes: one does; when it is killed the other goes on, and no candle is run twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from signalist.clock import utc_now
from signalist.domain.timeframes import timeframe
from signalist.engine import real_market
from signalist.events.models import Event
from signalist.execution.models import EngineProcess
from signalist.markets.feed_models import FeedSource
from signalist.markets.models import Candle, Instrument, LatestPrice
from signalist.strategies.models import RunStatus, Schedule, Strategy, StrategyRun, StrategyVersion
from tenants.doors import across_tenants
from tests.engine.processes import until
from tests.flows.commands import ROOT, engine, of_the_test_run
from tests.flows.test_two_engines import TURNS

WITHIN = 10.0
MINUTE = timeframe("1m")


@pytest.fixture
def kraken() -> Iterator[str]:
    """A venue of its own process that speaks as Kraken does; its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.venues.kraken_server"], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"]
        process.kill()


@pytest.fixture
def market() -> Instrument:
    """An instrument that follows the venue's, and a strategy that is due at each of its minutes."""
    with across_tenants("tests"):
        found = next(each for each in real_market.instruments() if each.symbol == "BTC/USD")
        Instrument.objects.exclude(pk=found.pk).update(is_active=False)
        strategy = Strategy.objects.create(slug="turns", name="Turns")
        version = StrategyVersion.objects.create(
            strategy=strategy, number=1, source=TURNS, content_hash="", history=2, state="PUBLISHED"
        )
        Schedule.objects.create(version=version, instrument=found, timeframe="1m")
    return found


def _owner() -> uuid.UUID | None:
    source = FeedSource.objects.filter(code="kraken", standing="open", held_until__gt=utc_now()).first()
    return None if source is None else source.owner


def _moved_since(moment: datetime) -> bool:
    return LatestPrice.objects.filter(at__gt=moment).exists()


def _run_once(market: Instrument, close: datetime) -> dict[str, Any]:
    return {
        "candles": Candle.objects.filter(instrument=market, timeframe="1m", close_time=close).count(),
        "runs": StrategyRun.objects.filter(candle_close=close).exclude(status=RunStatus.CLAIMED).count(),
    }


@pytest.mark.soak
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_when_the_engine_that_feeds_is_killed_the_other_feeds_within_ten_seconds_and_no_candle_is_run_twice(
    kraken: str, market: Instrument
) -> None:
    told = {"SIGNALIST_MARKET": "kraken", "SIGNALIST_KRAKEN_URL": kraken}
    with ExitStack() as stack, across_tenants("tests"):
        both = {}
        for _ in range(2):
            process = stack.enter_context(engine(of_the_test_run(connection), **told))
            stack.callback(process.kill)
            both[process.pid] = process
        first = until(_owner, "one of them feeds", 60)
        until(lambda: EngineProcess.objects.filter(ended_at=None).count() == 2, "both are up", 60)
        until(lambda: _moved_since(utc_now() - timedelta(seconds=5)), "there are prices", 20)
        # Killed right before a minute closes: nobody is there when it does.
        close = MINUTE.last_close(utc_now()) + MINUTE.length
        if close - utc_now() < timedelta(seconds=8):
            close += MINUTE.length
        time.sleep(max((close - utc_now()).total_seconds() - 2, 0))
        assert _owner() == first, "nobody else fed meanwhile"
        both[EngineProcess.objects.get(pk=first).pid].kill()
        killed = time.monotonic()
        until(lambda: _owner() not in (None, first), "the other holds the lease and is connected", WITHIN + 5)
        at = utc_now()
        until(lambda: _moved_since(at - timedelta(seconds=1)), "its prices are stored", 5)
        assert time.monotonic() - killed < WITHIN, "it took too long"
        until(lambda: _run_once(market, close) == {"candles": 1, "runs": 1}, "the minute between was run", 30)
        later = close + MINUTE.length
        until(lambda: _run_once(market, later) == {"candles": 1, "runs": 1}, "and the next one", 90)
        source = FeedSource.objects.get(code="kraken")
        assert source.token == 2 and source.owner != first
        for moment in (close, later):
            closed = Event.objects.filter(kind="candle_closed", at=moment, payload__timeframe="1m")
            assert closed.count() == 1, "told once"
            assert StrategyRun.objects.filter(candle_close=moment).count() == 1
