"""Clocks that are wrong: the venue's by half a minute, ours set forward and back in the middle of a trade."""

from __future__ import annotations

import pytest

from signalist.clock import utc_now
from signalist.strategies.models import Signal, StrategyRun
from signalist.trading.models import Execution
from tenants.doors import across_tenants
from tests.flows.loopback_stage import Stage

pytestmark = pytest.mark.django_db(transaction=True)


def counts() -> tuple[int, int, int]:
    with across_tenants("tests"):
        return StrategyRun.objects.count(), Signal.objects.count(), Execution.objects.count()


@pytest.mark.parametrize("ahead", [30, pytest.param(-30, marks=pytest.mark.soak)])
def test_a_venue_whose_clock_is_off_takes_what_is_in_time(ahead: int, stage: Stage) -> None:
    begin = stage.clock.now().replace(second=56)
    stage.clock.set(begin)
    # Against the engine's clock, which is not this machine's.
    stage.venue.control("clock", ahead=(begin - utc_now()).total_seconds() + ahead)
    try:
        stage.start()
        stage.settle()
        stage.candle(40)
        stage.settle()
        stage.check()
        stage.candle(-40)
        stage.settle()
        stage.check()
        assert stage.lost() == set()
    finally:
        stage.venue.control("clock", ahead=0)


def test_a_signal_is_not_traded_again_when_the_clock_is_set_back_over_its_candle(stage: Stage) -> None:
    stage.start()
    stage.settle()
    stage.candle(40)
    stage.settle()
    before = counts()
    stage.clock.jump(-45)
    stage.price -= 40
    stage.candle(40)  # the same minute closes once more
    stage.settle()
    assert counts() == before
    stage.candle(-40)
    stage.settle()
    stage.check()
    assert stage.lost() == set()


@pytest.mark.soak
def test_what_is_held_is_closed_and_entered_anew_after_the_clock_was_set_forward(stage: Stage) -> None:
    stage.start()
    stage.settle()
    stage.candle(40)
    stage.settle()
    stage.clock.jump(30)
    stage.candle(-40)
    stage.settle()
    stage.check()
    stage.clock.jump(30)
    stage.candle(40)
    stage.settle()
    stage.check(entries=2)
    with across_tenants("tests"):
        assert set(Execution.objects.values_list("status", flat=True)) == {"TAKEN"}, "none was skipped as late"


def test_an_order_on_its_way_while_the_clock_is_set_back_is_sent_once(stage: Stage) -> None:
    stage.start("place.call:2")
    stage.settle()
    stage.candle(40)
    stage.wait(lambda: stage.ended(stage.engines[0]), "it dies", tend=False)
    stage.clock.jump(-20)
    stage.settle()
    stage.check()
    stage.clock.jump(25)
    stage.candle(-40)
    stage.settle()
    stage.check()
