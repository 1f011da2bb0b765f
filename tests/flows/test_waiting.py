"""What has to wait keeps nobody else waiting: exits of a venue that does not answer, exits behind a doubtful stop, doubtful stops."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.domain.orders import Leg
from signalist.execution import actions
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.execution.overtaking import LONGEST_WAIT, Leaving, leaving
from signalist.execution.place import claim
from signalist.execution.protect import protect
from signalist.strategies.models import Schedule
from signalist.trading.models import Execution, Order, Position, Subscription
from signalist.venues.errors import Busy, NoAnswer, NotOpened, OrderNotOpen
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.scene import EXIT_LONG, HALVING, LONG, Scene, entry, opened, statuses

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")
STUCK = ("Theo", "Vera", "Nora", "Paul")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


def does_not_answer(world: Scene, subscription: Subscription) -> None:
    """The subscription's account can neither be looked up nor read from now on."""
    for method in ("look_up", "reports"):
        world.venue.refuses(NoAnswer("Down."), method, ref=subscription.account.venue_ref, times=500)


def stuck_behind_their_entries(world: Scene) -> list[Subscription]:
    """Several whose entries are in doubt for good, and who are told to leave."""
    stuck = [world.subscriber(name) for name in STUCK]
    for one in stuck:
        world.venue.loses_the_answer(leg="ENTRY", ref=one.account.venue_ref)
        does_not_answer(world, one)
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_LONG)
    assert [world.execution(one).status for one in stuck] == ["PENDING"] * 4
    return stuck


def undecided(world: Scene, schedule: Schedule, *said: object) -> None:
    """The strategy speaks, its followers have an execution each, and nothing is decided yet."""
    world.signal(*said, schedule=schedule, wait=True)  # type: ignore[arg-type]
    world.stage(fan_out)


def test_exits_that_wait_for_their_entries_keep_no_other_exit_from_being_decided(world: Scene) -> None:
    other = world.strategy("other", world.btc)
    otto = world.subscriber("Otto", schedule=other)
    world.signal(BUY, schedule=other)
    stuck_behind_their_entries(world)
    undecided(world, other, EXIT_LONG)
    assert world.stage(lambda now: decide(now, limit=2)) == 1
    assert world.execution(otto).status == "TAKEN"
    world.settle()
    assert world.trade(otto).exit_type == "SIGNAL"


def test_nor_any_entry(world: Scene) -> None:
    other = world.strategy("other", world.btc)
    otto = world.subscriber("Otto", schedule=other)
    stuck_behind_their_entries(world)
    undecided(world, other, BUY)
    assert world.stage(lambda now: decide(now, limit=2)) == 1
    assert world.execution(otto).status == "TAKEN"


def test_a_round_decides_about_as_many_as_it_may_and_asks_for_another(world: Scene) -> None:
    followers = [world.subscriber(f"Follower {n}") for n in range(5)]
    undecided(world, world.crossover, BUY)
    assert [world.stage(lambda now: decide(now, limit=2)) for _ in range(3)] == [2, 2, 1]
    assert {world.execution(one).status for one in followers} == {"TAKEN"}


def test_of_exits_that_a_strategy_repeats_one_waits(world: Scene) -> None:
    stuck = stuck_behind_their_entries(world)
    world.minute()
    world.signal(EXIT_LONG)
    waiting = Execution.objects.filter(status="PENDING")
    assert sorted(waiting.values_list("subscription_id", flat=True)) == sorted(one.pk for one in stuck)
    last = world.execution(stuck[0])
    assert (last.status, last.rule) == ("SKIPPED", "already_closing")


def test_exits_that_wait_for_a_doubtful_stop_keep_no_other_order_from_being_sent(world: Scene) -> None:
    stuck = [world.subscriber(name) for name in STUCK]
    world.signal(BUY)
    world.minute()
    for one in stuck:
        world.venue.refuses(OrderNotOpen("Not open."), "cancel", leg="STOP", ref=one.account.venue_ref)
        does_not_answer(world, one)
    world.signal(EXIT_LONG)
    assert {(world.order(one, "STOP").status, world.order(one, "EXIT").status) for one in stuck} == {
        ("UNKNOWN", "CREATED")
    }
    other = world.strategy("other", world.btc)
    otto = world.subscriber("Otto", schedule=other)
    undecided(world, other, BUY)
    world.stage(decide)
    found = world.stage(lambda now: claim(world.engine.id, now, limit=2))
    assert [errand.order.subscription_id for errand in found.errands] == [otto.pk]


def test_an_exit_waits_for_a_stop_in_doubt_ten_seconds_and_then_takes_what_is_there(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    for method, leg in (("look_up", None), ("reports", None), ("cancel", "STOP")):
        world.venue.refuses(NoAnswer("Down."), method, leg=leg, times=500)
    world.starts_again()
    world.poll()
    assert {order.status for order in world.orders(theo)} == {"FILLED", "UNKNOWN"}, "looked for after a change of hands"
    actions.flatten(theo.account, "flat", "out of here", world.clock.now())
    world.settle()
    assert world.order(theo, "EXIT").status == "CREATED"
    for _ in range(9):
        world.later(1)
        world.poll()
    assert ("cancel", "STOP") in world.venue.asked("cancel"), "what is in doubt can be cancelled"
    assert (world.order(theo, "EXIT").status, world.net(theo)) == ("CREATED", ALL)
    world.venue.calls.clear()
    world.later(2)
    world.poll()
    assert [method for method, leg in world.venue.asked("positions", "place")] == ["positions", "place"]
    assert world.net(theo) == 0
    (told,) = world.events("exit_overtakes")
    assert (told["order"], told["severity"]) == (world.order(theo, "EXIT").pk, "HIGH")


def test_an_exit_overtakes_no_stop_that_could_not_be_asked_for_want_of_a_key(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.shut[theo.account.venue_ref] = NotOpened("There is no key for this account yet.")
    world.starts_again()
    actions.flatten(theo.account, "flat", "out of here", world.clock.now())
    world.settle()
    until = world.order(theo, "EXIT").created_at + LONGEST_WAIT
    while world.clock.now() < until - timedelta(seconds=1):
        world.later(1)
        world.poll()
    stop = world.order(theo, "STOP")
    assert (stop.status, stop.reason) == ("UNKNOWN", "not_opened: There is no key for this account yet.")
    Order.objects.filter(status="UNKNOWN").update(not_before=world.clock.now() + timedelta(seconds=2))
    del world.venue.shut[theo.account.venue_ref]
    world.venue.calls.clear()
    world.later(1)
    world.poll()
    assert world.venue.asked("cancel", "place") == [], "its key is back a moment before the cancel is tried again"
    world.later(1)
    world.poll()
    assert world.venue.asked("cancel", "place")[:3] == [("cancel", "STOP"), ("cancel", "TARGET"), ("place", "EXIT")]
    assert not world.events("exit_overtakes")


def test_looks_that_find_nothing_put_no_cancel_off_that_an_exit_waits_for(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.capabilities = replace(world.venue.capabilities, looks=9, look_interval=3.0)
    world.venue.refuses(NoAnswer("Down."), "reports", times=500)
    world.venue.says(None, "look_up", times=500)
    world.venue.refuses(Busy("Too many.", after=4.0), "cancel", leg="STOP")
    world.starts_again()
    actions.flatten(theo.account, "flat", "out of here", world.clock.now())
    world.settle()
    world.later(5)
    world.poll()
    world.venue.calls.clear()
    world.later(7)
    world.poll()
    asked = world.venue.asked("look_up", "cancel", "place")
    assert asked.index(("look_up", "STOP")) < asked.index(("cancel", "STOP")) < asked.index(("place", "EXIT"))
    assert (world.orders(theo, "STOP")[0].status, world.events("exit_overtakes")) == ("CANCELLED", [])


def test_a_cancel_of_what_is_in_doubt_lets_the_exit_go_at_once(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    for method in ("look_up", "reports"):
        world.venue.refuses(NoAnswer("Down."), method, times=500)
    world.starts_again()
    world.later(300)
    world.poll()
    world.later(5)
    world.venue.calls.clear()
    world.signal(EXIT_LONG)
    assert {leg for _, leg in world.venue.asked("cancel")} == {"STOP", "TARGET"}
    assert world.net(theo) == 0
    assert [world.orders(theo, leg)[0].status for leg in ("STOP", "TARGET")] == ["CANCELLED", "CANCELLED"]
    assert world.events("exit_overtakes") == []
    assert ("positions", "") not in world.venue.asked("positions")


def test_an_exit_of_which_the_venue_does_not_say_what_is_there_is_no_larger_than_our_books(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    for method in ("look_up", "reports", "positions"):
        world.venue.refuses(NoAnswer("Down."), method, times=500)
    world.venue.refuses(OrderNotOpen("Not open."), "cancel", leg="STOP", times=500)
    world.signal(EXIT_LONG)
    assert (world.order(theo, "STOP").status, world.order(theo, "EXIT").status) == ("UNKNOWN", "CREATED")
    for _ in range(12):
        world.later(1)
        world.poll()
    assert world.net(theo) == 0
    assert 2 <= len(world.venue.asked("cancel")) <= 6, "asked again, later and later"


def test_positions_whose_stop_is_in_doubt_keep_no_other_from_being_protected(transactional_db: None) -> None:
    with opened(HALVING) as world:
        world.minute()
        stuck = [world.subscriber(name) for name in STUCK]
        for one in stuck:
            ref = one.account.venue_ref
            world.venue.loses_the_request(leg="STOP", ref=ref)
            world.venue.refuses(NoAnswer("Down."), "look_up", ref=ref, times=500)
        world.signal(BUY)
        world.minute()
        assert Position.objects.filter(protection_due=True).count() == 4
        other = world.strategy("other", world.btc)
        otto = world.subscriber("Otto", schedule=other)
        world.signal(BUY, schedule=other)
        Position.objects.filter(subscription=otto).update(protection_due=True)
        assert world.stage(lambda now: protect(now, lambda venue: CAPABILITIES, limit=2)) == 5
        assert not world.position(otto).protection_due
        assert statuses(world.orders(otto, "STOP")) == [("STOP", "WORKING")]


def test_an_exit_waits_for_what_the_position_before_has_left_behind(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.venue.refuses(Busy("Later.", after=3.0), "cancel", leg="TARGET", times=2)
    world.minute(close="39500")
    assert world.trade(theo).exit_type == "STOP_LOSS"
    left = world.order(theo, "TARGET")
    assert (left.status, left.cancel_wanted) == ("WORKING", True)
    # What was left of the entry fills now: a position of its own, and it is to be closed.
    world.books_agree = False
    late = Position.objects.get()
    late.pk, late.is_open, late.quantity, late.exit_quantity = None, True, ALL, Decimal(0)
    late.save()
    going = world.order(theo, "STOP")
    going.pk, going.leg, going.position, going.status, going.filled = None, Leg.EXIT.value, late, "CREATED", Decimal(0)
    going.client_order_id, going.created_at = str(uuid.uuid4()), world.clock.now()
    going.save()
    assert leaving([going], world.clock.now()).waiting == {going.pk}, (
        "the old target would be filled, or keep what is to be sold"
    )
    Order.objects.filter(pk=left.pk).update(status="CANCELLED")
    assert leaving([going], world.clock.now()) == Leaving()
