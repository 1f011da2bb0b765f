"""Where a venue keeps no stop, the engine does: it watches the price, and sends a market order once when the price is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.domain.orders import OrderType
from signalist.execution.watching import watch
from signalist.trading.models import Instruction, Order
from signalist.venues.errors import Refused
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.scene import CALM, EXIT_LONG, HALVING, LONG, SHORT, Scene, entry, opened, statuses

PLAIN_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT})
PLAIN = replace(CAPABILITIES, order_types=PLAIN_TYPES)
PLAIN_MARKET = replace(CALM, order_types=PLAIN_TYPES)
RESERVING = replace(CAPABILITIES, reserves_exits=True)
BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(transactional_db: None) -> Iterator[Scene]:
    """A venue that takes market and limit orders only, a minute after noon."""
    with opened(PLAIN_MARKET, PLAIN) as scene:
        scene.minute()
        yield scene


@pytest.fixture
def reserving(transactional_db: None) -> Iterator[Scene]:
    """A venue that reserves the quantity of each resting exit."""
    with opened(replace(CALM, reserves_exits=True), RESERVING) as scene:
        scene.minute()
        yield scene


# --- The venue keeps nothing ---------------------------------------------------------------------


def test_a_stop_that_no_venue_keeps_is_watched_and_not_sent(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    assert statuses(world.orders(theo)) == [("ENTRY", "FILLED"), ("STOP", "CREATED"), ("TARGET", "CREATED")]
    assert all(order.watched for order in world.orders(theo)[1:])
    assert world.resting(theo) == {}
    assert world.position(theo).watched


@pytest.mark.parametrize("price", ["39600", "39000"], ids=["at the stop", "beyond it, after a gap"])
def test_a_price_at_the_stop_closes_the_position_at_once(world: Scene, price: str) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price(price)
    world.settle()
    stop, target = world.order(theo, "STOP"), world.order(theo, "TARGET")
    assert (stop.status, stop.type, target.status) == ("FILLED", "MARKET", "CANCELLED")
    trade = world.trade(theo)
    assert (trade.exit_type, trade.exit_price) == ("STOP_LOSS", Decimal(price))
    assert world.net(theo) == 0


def test_a_price_short_of_the_stop_changes_nothing(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price("39600.1")
    world.settle()
    assert world.net(theo) == ALL
    assert world.order(theo, "STOP").watched


def test_a_target_that_no_venue_keeps_is_taken_at_its_price(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price("40800")
    world.settle()
    assert world.trade(theo).exit_type == "TAKE_PROFIT"
    assert world.order(theo, "STOP").status == "CANCELLED"


def test_a_short_is_stopped_the_other_way_round(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(entry(SHORT, "40400", "39200"))
    world.price("40400")
    world.settle()
    assert world.trade(theo).exit_type == "STOP_LOSS"


def test_it_is_sent_once_however_often_it_is_looked_at(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price("39500")
    for _ in range(3):
        world.stage(lambda now: watch(now, lambda venue: PLAIN))
    world.settle()
    world.poll()
    assert [call for call in world.venue.asked("place") if call[1] == "STOP"] == [("place", "STOP")]
    assert len(world.events("watched_order_triggered")) == 1
    assert Order.objects.filter(subscription=theo, leg="STOP").count() == 1


def test_how_long_it_took_from_the_price_to_the_sending_is_kept(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price("39500")
    made = world.clock.now()
    world.later(1.5)
    world.settle()
    stop = world.order(theo, "STOP")
    assert (stop.price_at, stop.reaction_ms) == (made, 1500.0)


def test_after_an_outage_a_price_beyond_the_stop_closes_at_once(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.later(600)
    world.price("39000")
    world.starts_again()
    assert world.trade(theo).exit_type == "STOP_LOSS"
    assert world.net(theo) == 0


def test_a_stop_that_was_triggered_before_a_crash_is_sent_once_after_it(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price("39500")
    world.stage(lambda now: watch(now, lambda venue: PLAIN))
    assert world.order(theo, "STOP").status == "CREATED"
    world.starts_again()
    assert world.trade(theo).exit_type == "STOP_LOSS"
    assert [call for call in world.venue.asked("place") if call[1] == "STOP"] == [("place", "STOP")]


def test_the_candle_that_closed_last_is_the_second_source(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.later(1)
    world.candle(low="39900", close="40000")
    assert world.net(theo) == ALL
    world.candle(low="39500", close="40000")
    assert world.trade(theo).exit_type == "STOP_LOSS"


def test_of_stop_and_target_inside_one_candle_the_stop_comes_first(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.later(1)
    world.candle()
    world.candle(low="39500", high="41000", close="40000")
    assert world.trade(theo).exit_type == "STOP_LOSS"
    assert world.order(theo, "TARGET").status == "CANCELLED"


def test_prices_that_grow_old_are_alarmed_once_and_said_to_be_back(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.later(60)
    world.poll()
    assert world.events("protection_blind") == []
    world.later(31)
    world.poll()
    world.poll()
    (told,) = world.events("protection_blind")
    assert (told["position"], told["severity"]) == (world.position(theo).pk, "HIGH")
    assert world.position(theo).blind_since == world.clock.now()
    world.price("40010")
    world.settle()
    assert len(world.events("protection_sees_again")) == 1
    assert world.position(theo).blind_since is None


def test_a_watched_stop_grows_with_every_fill(transactional_db: None) -> None:
    with opened(replace(HALVING, order_types=PLAIN_TYPES), PLAIN) as world:
        world.minute()
        theo = world.subscriber()
        world.signal(BUY)
        part = world.net(theo)
        assert world.order(theo, "STOP").quantity == part < ALL
        world.minute()
        assert world.order(theo, "STOP").quantity == ALL


def test_an_exit_takes_the_watched_stop_back(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_LONG)
    assert world.trade(theo).exit_type == "SIGNAL"
    assert [o.status for o in world.orders(theo, "STOP")] == ["CANCELLED"]
    assert [call for call in world.venue.asked("place", "cancel") if call[1] == "STOP"] == []


def test_a_stop_that_fills_in_parts_leaves_the_rest_to_itself(transactional_db: None) -> None:
    with opened(replace(HALVING, order_types=PLAIN_TYPES), PLAIN) as world:
        world.minute()
        theo = world.subscriber()
        world.signal(BUY)
        world.minute()
        world.price("39500")
        world.settle()
        assert world.order(theo, "STOP").status == "PARTIAL"
        assert 0 < world.net(theo) < ALL
        world.minute()
        assert world.trade(theo).exit_type == "STOP_LOSS"
        assert len(world.orders(theo, "STOP")) == 1


def test_a_watched_stop_that_is_refused_three_times_is_an_emergency(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(Refused("Never."), leg="STOP", times=99)
    world.signal(BUY)
    world.price("39500")
    world.settle()
    world.later(2)
    world.poll()
    assert [o.status for o in world.orders(theo, "STOP")] == ["REJECTED"] * 3
    assert world.trade(theo).exit_type == "EMERGENCY"
    assert Instruction.objects.get().kind == "EMERGENCY"


def test_a_halted_account_keeps_its_watched_stop(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    account = world.position(theo).account
    account.state = "HALTED"
    account.save()
    world.price("39500")
    world.settle()
    assert world.trade(theo).exit_type == "STOP_LOSS"


def test_another_engine_leaves_what_is_not_its_own(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.price("39500")
    other = type(world.engine.id)(int=1)
    assert world.stage(lambda now: watch(now, lambda venue: PLAIN, other)) == 0
    assert world.order(theo, "STOP").watched


# --- One leg rests, the other is watched ---------------------------------------------------------


def test_where_exits_are_reserved_the_stop_rests_and_the_target_is_watched(reserving: Scene) -> None:
    theo = reserving.subscriber()
    reserving.signal(BUY)
    assert reserving.resting(theo) == {"STOP": ALL}
    target = reserving.order(theo, "TARGET")
    assert (target.status, target.watched) == ("CREATED", True)


def test_a_venue_that_reserves_would_refuse_the_second_leg(reserving: Scene) -> None:
    careless = replace(CAPABILITIES, reserves_exits=False)
    reserving.venue.capabilities = careless
    theo = reserving.subscriber()
    reserving.signal(BUY)
    assert {o.status for o in reserving.orders(theo, "TARGET")} == {"REJECTED"}
    assert len(reserving.orders(theo, "TARGET")) == 3  # and then it is left


def test_the_resting_stop_is_taken_down_before_the_target_is_sold(reserving: Scene) -> None:
    theo = reserving.subscriber()
    reserving.signal(BUY)
    reserving.price("40800")
    reserving.settle()
    asked = [call for call in reserving.venue.asked("place", "cancel") if call[1] in ("STOP", "TARGET")]
    assert asked == [("place", "STOP"), ("cancel", "STOP"), ("place", "TARGET")]
    assert reserving.trade(theo).exit_type == "TAKE_PROFIT"
    assert len(reserving.orders(theo, "STOP")) == 1


def test_the_watched_target_goes_when_the_resting_stop_fills(reserving: Scene) -> None:
    theo = reserving.subscriber()
    reserving.signal(BUY)
    reserving.minute(low="39500", close="39700")
    assert reserving.trade(theo).exit_type == "STOP_LOSS"
    assert reserving.order(theo, "TARGET").status == "CANCELLED"
    assert reserving.events("watched_order_triggered") == []


def test_a_target_that_the_venue_refuses_gives_the_stop_back(reserving: Scene) -> None:
    theo = reserving.subscriber()
    reserving.venue.refuses(Refused("Not now."), leg="TARGET", times=99)
    reserving.signal(BUY)
    reserving.price("40800")
    reserving.settle()
    reserving.later(timedelta(minutes=2).total_seconds())
    reserving.poll()
    assert reserving.unprotected() == ()
    assert reserving.resting(theo) == {"STOP": ALL}
    assert [o.status for o in reserving.orders(theo, "TARGET")] == ["REJECTED"] * 3
