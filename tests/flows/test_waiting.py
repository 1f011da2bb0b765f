"""What has to wait keeps nobody else waiting: exits of a venue that does not answer, exits behind a doubtful stop, doubtful stops."""

from __future__ import annotations

import pytest

from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.execution.place import claim
from signalist.execution.protect import protect
from signalist.strategies.models import Schedule
from signalist.trading.models import Execution, Position, Subscription
from signalist.venues.errors import NoAnswer, OrderNotOpen
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.scene import EXIT_LONG, HALVING, LONG, Scene, entry, opened, statuses

BUY = entry(LONG, "39600", "40800")
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
