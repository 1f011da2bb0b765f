"""A venue where no order can be kept from opening a position: one exit rests at a time, and none is sent beside another blindly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.domain.matching import Bar
from signalist.venues.errors import NoAnswer
from signalist.venues.paper.exchange import SymbolBar
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.scene import CALM, EXIT_LONG, LONG, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(transactional_db: None) -> Iterator[Scene]:
    """Such a venue, a minute after noon."""
    with opened(CALM, replace(CAPABILITIES, reduce_only=False)) as scene:
        scene.minute()
        yield scene


def test_the_stop_rests_the_target_is_watched_and_the_one_goes_before_the_other_is_sent(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    assert world.resting(theo) == {"STOP": ALL}
    world.price("40800")
    world.settle()
    asked = [call for call in world.venue.asked("place", "cancel") if call[1] in ("STOP", "TARGET")]
    assert asked == [("place", "STOP"), ("cancel", "STOP"), ("place", "TARGET")]
    assert (world.trade(theo).exit_type, world.net(theo)) == ("TAKE_PROFIT", 0)


def test_an_exit_over_a_stop_that_does_not_cancel_asks_what_is_there_and_says_so(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.refuses(NoAnswer("Down."), "cancel", leg="STOP", times=99)
    world.venue.refuses(NoAnswer("Down."), "reports", times=99)

    async def market_falls() -> None:
        now = world.clock.now() + timedelta(milliseconds=500)
        await world.exchange.on_bars([SymbolBar("BTC-PERP", Bar.tick(Decimal(39_500)), now, now)])

    world.signal(EXIT_LONG)
    for _ in range(9):
        world.later(1)
        world.poll()
    assert world.order(theo, "EXIT").status == "CREATED"
    world.venue.before(market_falls, "positions")
    world.later(2)
    world.settle()
    world.poll()
    assert world.net(theo) == 0, "the stop has filled, and the exit did not open the reverse"
    assert [event["severity"] for event in world.events("exit_overtakes")] == ["HIGH"]
    assert ("place", "EXIT") not in world.venue.asked("place")
