"""`manage.py engine --market synthetic`: a market that one engine makes, whoever else runs."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime

import pytest

from tests.engine.processes import until
from tests.flows.commands import OwnDatabase, engine, manage
from tests.flows.forks import Started

PATIENCE = 60
FEEDER = "SELECT pid FROM execution_engineprocess WHERE feeds = 'synthetic'"
LATEST = "SELECT MAX(at) FROM markets_latestprice"


@contextmanager
def engines(database: OwnDatabase, *environments: dict[str, str]) -> Iterator[Sequence[Started]]:
    """An engine for each of the environments, all of them told by it to make the market; none outlives the test."""
    with ExitStack() as stack:
        started = []
        for environment in environments:
            started.append(stack.enter_context(engine(database, **environment)))
            stack.callback(started[-1].kill)
        living = "SELECT COUNT(*) FROM execution_engineprocess WHERE ended_at IS NULL"
        until(lambda: database.rows(living) == [(len(started),)], "the engines are up", PATIENCE)
        yield started


def test_a_market_is_there_within_seconds_and_goes_on_second_by_second(own_database: OwnDatabase) -> None:
    with engines(own_database, {"SIGNALIST_MARKET": "synthetic"}) as (only,):
        seen = until(lambda: own_database.rows(LATEST)[0][0], "there are prices", 10)
        for _ in range(3):
            seen = until(lambda seen=seen: _later(own_database, seen), "a second later they are new", 5)  # type: ignore[misc]
        closed = "SELECT COUNT(*) FROM markets_candle WHERE timeframe = '10s'"
        until(lambda: own_database.rows(closed)[0][0] >= 4, "a candle has closed in every market", 15)
        assert own_database.rows(FEEDER) == [(only.pid,)]
        only.send_signal(signal.SIGTERM)
        assert only.wait(30) == 0
    assert own_database.rows(FEEDER) == []


def test_without_being_told_an_engine_makes_no_market(own_database: OwnDatabase) -> None:
    with engines(own_database, {}):
        time.sleep(2)
        assert own_database.rows(FEEDER) == []
        assert own_database.rows(LATEST) == [(None,)]


@pytest.mark.postgresql
@pytest.mark.django_db
def test_of_two_engines_one_makes_the_market_and_the_other_goes_on_when_it_dies(own_database: OwnDatabase) -> None:
    told = {"SIGNALIST_MARKET": "synthetic"}
    with engines(own_database, told, told) as both:
        ((feeder,),) = until(lambda: own_database.rows(FEEDER), "one of them makes it", 10)
        until(lambda: own_database.rows(LATEST)[0][0], "there are prices", 10)
        first, second = sorted(both, key=lambda process: process.pid != feeder)
        time.sleep(3)
        assert own_database.rows(FEEDER) == [(feeder,)]
        first.kill()
        until(lambda: own_database.rows(FEEDER) == [(second.pid,)], "the other makes it", 20)
        seen = own_database.rows(LATEST)[0][0]
        until(lambda: _later(own_database, seen), "prices go on", 10)
        # Whoever made them: one candle for each close, none left out.
        until(lambda: len(_closes(own_database)) >= 3, "candles close", 40)
        closes = _closes(own_database)
        assert [(b - a).total_seconds() for a, b in itertools.pairwise(closes)] == [10] * (len(closes) - 1)
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0


def test_the_synthetic_market_does_not_wait_for_a_recorded_one(own_database: OwnDatabase) -> None:
    said = manage(own_database, "engine", "--market", "synthetic", "--clock", "market")
    assert said.status == 2
    assert said.err == "The synthetic market is made by the system's clock; leave out --clock or --market.\n"


def test_a_market_that_does_not_exist_is_refused(own_database: OwnDatabase) -> None:
    said = manage(own_database, "engine", SIGNALIST_MARKET="real")
    assert said.status != 0
    assert "Set SIGNALIST_MARKET to one of synthetic, kraken, none, not 'real'." in said.err


def _later(database: OwnDatabase, seen: object) -> object:
    ((now,),) = database.rows(LATEST)
    return now if now != seen else None


def _closes(database: OwnDatabase) -> list[datetime]:
    found = database.rows(
        "SELECT c.close_time FROM markets_candle c JOIN markets_instrument i ON i.id = c.instrument_id "
        "WHERE c.timeframe = '10s' AND i.symbol = 'NOVA/USD' ORDER BY 1"
    )
    return [close for (close,) in found]
