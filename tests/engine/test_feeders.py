"""Which engine feeds the market: one that lives, and the next one only after it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from signalist.clock import ReplayClock, utc_now
from signalist.execution import engines
from signalist.execution.models import EngineProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> ReplayClock:
    """The machine's time, standing still."""
    return ReplayClock(utc_now())


def elsewhere(at: ReplayClock, **fields: object) -> EngineProcess:
    """An engine on another machine, which is judged by its heartbeat alone."""
    return EngineProcess.objects.create(boot="elsewhere", pid=7, started_at=at.now(), seen_at=at.now(), **fields)


def test_the_first_engine_that_asks_feeds_and_goes_on_feeding(clock: ReplayClock) -> None:
    first, second = elsewhere(clock), elsewhere(clock)
    assert engines.feeds(first, "synthetic")
    assert not engines.feeds(second, "synthetic")
    assert engines.feeds(first, "synthetic")


def test_each_market_has_its_own_feeder(clock: ReplayClock) -> None:
    assert engines.feeds(elsewhere(clock), "synthetic")
    assert engines.feeds(elsewhere(clock), "another")


def test_an_engine_that_stops_in_good_order_leaves_the_market_to_the_next(clock: ReplayClock) -> None:
    first, second = elsewhere(clock), elsewhere(clock)
    engines.feeds(first, "synthetic")
    engines.ended(first, clock)
    assert engines.feeds(second, "synthetic")


def test_an_engine_that_was_taken_over_feeds_no_more_even_when_it_comes_back(clock: ReplayClock) -> None:
    silent, second = elsewhere(clock), elsewhere(clock)
    engines.feeds(silent, "synthetic")
    clock.advance_to(clock.now() + engines.SILENT_AFTER + timedelta(seconds=1))
    engines.heartbeat(second, clock)
    assert silent.pk in engines.dead_engines(clock)
    assert not engines.feeds(second, "synthetic"), "nobody has taken over yet"
    engines.taken_over(engines.dead_engines(clock), clock)
    assert engines.feeds(second, "synthetic")
    engines.heartbeat(silent, clock)
    assert not engines.feeds(silent, "synthetic")


def test_the_database_holds_no_two_feeders_whoever_writes(clock: ReplayClock) -> None:
    elsewhere(clock, feeds="synthetic")
    with pytest.raises(IntegrityError), transaction.atomic():
        elsewhere(clock, feeds="synthetic")


def test_living_engines_are_told_with_their_clock(clock: ReplayClock) -> None:
    elsewhere(clock, clock="market")
    gone = elsewhere(clock)
    engines.ended(gone, clock)
    assert [engine.clock for engine in engines.living_engines(clock)] == ["market"]
