"""A stop that keeps failing, however it fails: every try counts, pauses between them grow, and the position is closed in the end; where
even that fails, a stop and an exit are tried on, and somebody is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.domain.orders import OrderStatus
from signalist.execution.bare import look_at_bare
from signalist.failpoints import watched
from signalist.risk.actions import Where, switch
from signalist.trading.models import Order, Position, Subscription
from signalist.venues.base import Ack, OrderReport
from signalist.venues.errors import Busy, Refused
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry
from tests.flows.tricks import Trick

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


def passes(world: Scene, seconds: int, step: int = 1) -> None:
    """Time passes with a sweep of the engine now and then."""
    for _ in range(0, seconds, step):
        world.later(step)
        world.poll()


def takes_and_drops(world: Scene, one: Subscription, status: OrderStatus, times: int = 99) -> None:
    """The venue acknowledges stops and reports a moment later that they are over."""
    ref = one.account.venue_ref

    async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
        name = world.venue.calls[-1].order_id
        told = OrderReport(name, f"V-{name}", status, ALL, Decimal(0), "house rules", world.clock.now())
        world.venue.announced.setdefault(ref, []).append(told)
        return Ack(name, f"V-{name}")

    world.venue._tricks.append(Trick(play, "place", leg="STOP", ref=ref, times=times))


def test_stops_that_never_arrive_while_looks_work_are_counted_and_the_position_is_closed(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="STOP", times=500)
    world.signal(BUY)
    passes(world, 30)
    assert [o.status for o in world.orders(theo, "STOP")] == ["REJECTED"] * 3
    assert (world.trade(theo).exit_type, world.net(theo)) == ("EMERGENCY", 0)
    assert [event["severity"] for event in world.events("emergency_exit")] == ["HIGH"]


@pytest.mark.parametrize("status", [OrderStatus.REJECTED, OrderStatus.EXPIRED])
def test_stops_that_are_taken_and_dropped_are_no_storm_and_the_position_is_closed(
    world: Scene, status: OrderStatus
) -> None:
    theo = world.subscriber()
    takes_and_drops(world, theo, status)
    world.signal(BUY)
    for found in (["WORKING"], [status, "WORKING"], [status, status, "CREATED"], [status, status, "CREATED"]):
        assert [o.status for o in world.orders(theo, "STOP")] == found
        passes(world, 1)
    passes(world, 10)
    assert [o.status for o in world.orders(theo, "STOP")] == [status] * 3
    assert all(o.venue_order_id for o in world.orders(theo, "STOP")), "each was acknowledged first"
    assert world.trade(theo).exit_type == "EMERGENCY"


def test_a_stop_whose_venue_is_too_busy_for_half_a_minute_closes_the_position(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.venue.refuses(Busy("Come back later."), leg="STOP", ref=theo.account.venue_ref, times=500)
    world.signal(BUY)
    passes(world, 28)
    assert [o.status for o in world.orders(theo)] == ["FILLED", "CREATED", "WORKING"]
    assert world.order(theo, "STOP").attempts >= 5
    passes(world, 5)
    assert world.trade(theo).exit_type == "EMERGENCY"
    (told,) = world.events("emergency_exit")
    assert "no stop could be placed for" in told["reason"]
    assert world.resting(vera) == {"STOP": ALL, "TARGET": ALL}


def test_a_stop_that_nobody_was_there_to_send_is_sent_before_it_is_called_late(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(Busy("Come back later."), leg="STOP")
    world.signal(BUY)
    passes(world, 1)
    assert world.order(theo, "STOP").status == "CREATED"
    world.later(600)
    world.starts_again()
    world.poll()
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}
    assert world.events("emergency_exit") == []


def test_what_failed_before_a_stop_that_worked_is_forgotten(world: Scene) -> None:
    theo = world.subscriber()
    for _ in range(3):
        world.venue.refuses(Refused("Not now."), leg="STOP")
        if world.orders(theo):
            stop = world.order(theo, "STOP")
            gone = (OrderStatus.EXPIRED, ALL, Decimal(0), "a day is over", world.clock.now())
            world.drive(world.exchange.cancel(theo.account.venue_ref, stop.client_order_id))
            Order.objects.filter(pk=stop.pk).update(status="UNKNOWN")
            world.venue.says(OrderReport(stop.client_order_id, stop.venue_order_id, *gone), "look_up")
            world.poll()
        else:
            world.signal(BUY)
        passes(world, 5)
        assert world.resting(theo)["STOP"] == ALL
        passes(world, 90, 30)
        position = world.position(theo)
        assert (position.refused_stops, position.bare_since, position.protection_due) == (0, None, False)
    assert world.events("emergency_exit") == []


def test_an_engine_that_dies_over_a_bare_position_leaves_it_to_the_next(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(Busy("Come back later."), leg="STOP", times=500)
    world.signal(BUY)
    passes(world, 9)

    def die(place: str) -> None:
        if place == "protect.bare.committed":
            raise KeyboardInterrupt

    world.later(2)
    with watched(die), pytest.raises(KeyboardInterrupt):
        world.stage(look_at_bare)
    world.starts_again()
    passes(world, 35)
    assert world.trade(theo).exit_type == "EMERGENCY"


# --- Where even the exit is refused --------------------------------------------------------------


def test_a_short_maintenance_in_which_everything_is_refused_leaves_nobody_bare(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.refuses(Refused("Maintenance."), leg="EXIT", times=3)
    world.signal(EXIT_LONG)
    assert len(world.orders(theo, "EXIT")) == 3, "the first repetition goes at once, the second waits"
    assert world.orders(theo, "EXIT")[-1].status == "CREATED"
    passes(world, 10)
    assert world.trade(theo).exit_type == "SIGNAL"
    assert Account.objects.get().state == AccountState.ACTIVE


def test_while_no_exit_can_be_done_a_stop_is_tried_and_an_exit_again(world: Scene) -> None:
    theo = world.subscriber()
    for leg in ("STOP", "EXIT"):
        world.venue.refuses(Refused("Maintenance."), leg=leg, times=500)
    world.signal(BUY)
    passes(world, 25)
    assert len(world.orders(theo, "EXIT")) == 5
    assert Account.objects.get().state == AccountState.HALTED
    before = len(world.orders(theo, "STOP"))
    assert before > 3, "a stop is tried once the exit was given up"
    passes(world, 60)
    assert 5 < len(world.orders(theo, "EXIT")) <= 10, "a second round of exits, and no storm"
    world.venue._tricks = [trick for trick in world.venue._tricks if trick.leg != "STOP"]
    passes(world, 120, 4)
    assert world.position(theo).is_open
    assert world.resting(theo)["STOP"] == ALL, "nobody had to resume"
    assert [event["severity"] for event in world.events("emergency_exit")] == ["HIGH"] * 2


def test_an_exit_is_done_as_soon_as_it_can_be_where_stops_are_refused_for_good(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(Refused("Never."), leg="STOP", times=500)
    world.venue.refuses(Refused("Maintenance."), leg="EXIT", times=5)
    world.signal(BUY)
    passes(world, 120, 2)
    assert (world.trade(theo).exit_type, world.net(theo)) == ("EMERGENCY", 0)


def test_stops_that_are_taken_and_dropped_keep_no_exit_from_being_tried_again(world: Scene) -> None:
    theo = world.subscriber()
    takes_and_drops(world, theo, OrderStatus.REJECTED)
    world.venue.refuses(Refused("Maintenance."), leg="EXIT", times=10)
    world.signal(BUY)
    # The pauses before a stop are as long by then as one has to stand; waiting for its turn it stood nowhere.
    passes(world, 300, 4)
    assert (world.trade(theo).exit_type, world.net(theo)) == ("EMERGENCY", 0)
    assert len(world.events("emergency_exit")) == 3


def test_stops_that_are_taken_away_are_asked_about_however_long_the_pauses_are(world: Scene) -> None:
    theo = world.subscriber()
    takes_and_drops(world, theo, OrderStatus.CANCELLED)
    world.signal(BUY)
    Position.objects.update(exit_rounds=2, refused_stops=1)  # two rounds of exits had been refused
    passes(world, 360, 6)
    assert len(world.events("books_differ")) == 1
    assert Account.objects.get().state == AccountState.HALTED


def test_resuming_starts_anew(world: Scene) -> None:
    theo = world.subscriber()
    for leg in ("STOP", "EXIT"):
        world.venue.refuses(Refused("Maintenance."), leg=leg, times=500)
    world.signal(BUY)
    passes(world, 30)
    account = Account.objects.get()
    assert (account.state, world.order(theo, "STOP").status) == (AccountState.HALTED, "CREATED")
    world.venue._tricks.clear()
    switch(Where.of_account(account), AccountState.ACTIVE, "put right", world.clock.now(), who="Theo")
    world.poll()
    assert world.resting(theo)["STOP"] == ALL
    position = world.position(theo)
    assert (position.refused_stops, position.bare_since) == (0, None)
