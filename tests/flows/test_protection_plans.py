"""Protection plans in the whole chain: stops that move behind the market, ladders of targets, positions that have lived long enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from signalist.accounts.models import AccountState
from signalist.domain.protection import Plan, Rung
from signalist.markets.models import Instrument
from signalist.markets.selectors import forget_instruments
from signalist.risk.actions import Where, switch
from signalist.trading.actions import change_terms
from signalist.trading.models import Execution, Reservation, StopMove
from signalist.trading.terms import terms_of
from signalist.venues.errors import Refused
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.scene import CALM, HALVING, LONG, SHORT, Scene, entry, opened

D = Decimal
BUY, BUY_OPEN = entry(LONG, "39600", "42000"), entry(LONG, "39600")
ALL = D("2.5")
BREAK_EVEN, TRAIL = Plan(break_even=D(1)), Plan(trail=D("0.01"))
LADDER = Plan(ladder=(Rung(D(1), D("0.5")), Rung(D(2), D("0.25"))))
RESERVING = replace(CAPABILITIES, reserves_exits=True)


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


@pytest.fixture(params=[True, False], ids=["amends in place", "cannot amend"])
def either(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Scene]:
    """A venue that can change a stop in place, and one that cannot."""
    with opened(CALM, replace(CAPABILITIES, amend=request.param)) as world:
        world.minute()
        yield world


def goes_to(world: Scene, price: str) -> None:
    """The market goes there, and the engine works."""
    world.price(price)
    world.settle()


# --- Stops that move -----------------------------------------------------------------------------


def test_after_its_gain_the_stop_stands_at_the_entry_and_its_fees(either: Scene) -> None:
    theo = either.subscriber(plan=BREAK_EVEN)
    either.signal(BUY)
    goes_to(either, "40399")
    assert either.order(theo, "STOP").trigger == 39_600
    goes_to(either, "40400")
    # Paid 0.05 % to enter, assumed to pay 0.1 % to leave.
    assert either.position(theo).stop == either.order(theo, "STOP").trigger == D(40_060)
    assert either.position(theo).first_stop == D(39_600)
    assert either.resting(theo)["STOP"] == ALL
    assert either.unprotected() == ()
    goes_to(either, "40060")
    assert either.trade(theo).exit_type == "STOP_LOSS"
    assert either.trade(theo).net > 0


def test_the_fee_that_the_venue_lists_is_reserved_and_stands_in_the_stop_at_the_entry(world: Scene) -> None:
    Instrument.objects.filter(pk=world.btc.pk).update(taker_fee=D("0.004"))
    forget_instruments()
    theo = world.subscriber(plan=BREAK_EVEN)
    world.signal(BUY_OPEN)
    held, value = Reservation.objects.get(), ALL * 40_000
    assert held.amount == value / theo.leverage + value * D("0.004")
    goes_to(world, "40400")
    assert world.position(theo).stop == D(40_180), "paid 0.05 % to enter, pays 0.4 % to leave"


def test_a_stop_is_moved_in_place_where_the_venue_can(either: Scene) -> None:
    either.subscriber(plan=BREAK_EVEN)
    either.signal(BUY_OPEN)
    goes_to(either, "40400")
    asked = [method for method, leg in either.venue.asked("place", "cancel", "amend") if leg == "STOP"]
    amends = either.venue.capabilities.amend
    assert asked == (["place", "amend"] if amends else ["place", "cancel", "place"])


def test_a_trailing_stop_follows_and_never_comes_back(world: Scene) -> None:
    theo = world.subscriber(plan=TRAIL)
    world.signal(BUY)
    levels = []
    for price in ("40400", "41000", "40700", "41500", "41100"):
        goes_to(world, price)
        levels.append(world.order(theo, "STOP").trigger)
    assert levels == [D(39_996), D(40_590), D(40_590), D(41_085), D(41_085)]
    goes_to(world, "41085")
    assert world.trade(theo).exit_price == D(41_085)


def test_a_short_trails_the_other_way_round(world: Scene) -> None:
    theo = world.subscriber(plan=TRAIL)
    world.signal(entry(SHORT, "40400", "38000"))
    goes_to(world, "39000")
    assert world.order(theo, "STOP").trigger == D(39_390)
    goes_to(world, "39200")
    assert world.order(theo, "STOP").trigger == D(39_390)


def test_a_position_that_was_entered_without_a_stop_gets_a_trailing_one(world: Scene) -> None:
    theo = world.subscriber(plan=TRAIL, notional="0.5")
    world.signal(entry(LONG))
    assert world.position(theo).first_stop is None
    assert world.order(theo, "STOP").trigger == D(39_600)
    assert world.unprotected() == ()


def test_every_move_of_a_stop_is_told_and_kept(world: Scene) -> None:
    theo = world.subscriber(plan=Plan(break_even=D(1), trail=D("0.01")))
    world.signal(BUY)
    goes_to(world, "40400")
    goes_to(world, "41000")
    moves = [(m.was, m.level, m.price, m.reason) for m in StopMove.objects.order_by("pk")]
    assert moves == [
        (D(39_600), D(40_060), D(40_400), "break_even"),
        (D(40_060), D(40_590), D(41_000), "trail"),
    ]
    assert [(told["from"], told["to"]) for told in world.events("stop_moved")] == [
        ("39600", "40060"),
        ("40060", "40590"),
    ]
    assert world.events("stop_moved")[0]["position"] == world.position(theo).pk


def test_a_fill_that_comes_later_does_not_loosen_a_moved_stop(transactional_db: None) -> None:
    with opened(HALVING) as world:
        world.minute()
        theo = world.subscriber(plan=TRAIL)
        world.signal(BUY)
        goes_to(world, "41000")
        assert world.net(theo) == ALL  # the rest was filled on the way
        assert world.position(theo).stop == world.order(theo, "STOP").trigger == D(40_590)
        assert world.order(theo, "STOP").quantity == ALL


def test_a_move_that_the_venue_refuses_is_made_by_replacing_the_stop(world: Scene) -> None:
    theo = world.subscriber(plan=BREAK_EVEN)
    world.signal(BUY)
    world.venue.refuses(Refused("Not this one."), "amend", leg="STOP")
    goes_to(world, "40400")
    assert world.resting(theo)["STOP"] == ALL  # where it was, for now
    world.later(5)
    world.poll()
    assert [(o.n, o.status, o.trigger) for o in world.orders(theo, "STOP")] == [
        (0, "CANCELLED", D(39_600)),
        (1, "WORKING", D(40_060)),
    ]


def test_a_move_whose_answer_is_lost_is_asked_for_again_after_a_restart(world: Scene) -> None:
    theo = world.subscriber(plan=BREAK_EVEN)
    world.signal(BUY)
    world.venue.loses_the_answer("amend", leg="STOP")
    goes_to(world, "40400")
    world.later(61)
    world.starts_again()
    world.poll()
    assert world.order(theo, "STOP").trigger == D(40_060)
    assert world.order(theo, "STOP").wanted_quantity is None
    stop = next(o for o in world.store.resting() if o.tag.endswith(":STOP"))
    assert stop.trigger == D(40_060)


def test_a_stop_is_not_moved_on_an_old_price(world: Scene) -> None:
    theo = world.subscriber(plan=BREAK_EVEN)
    world.signal(BUY)
    world.price("40400")
    world.later(91)
    world.settle()
    assert world.position(theo).stop == D(39_600)


# --- Ladders -------------------------------------------------------------------------------------


def rungs(world: Scene, theo: object) -> list[tuple[int, Decimal | None, Decimal, str]]:
    """(rung, level, quantity, status) of the targets."""
    return [(o.rung, o.trigger, o.quantity, o.status) for o in world.orders(theo, "TARGET")]  # type: ignore[arg-type]


def test_a_ladder_rests_at_its_levels_and_leaves_the_rest_to_the_signals_target(world: Scene) -> None:
    theo = world.subscriber(plan=LADDER)
    world.signal(BUY)
    assert rungs(world, theo) == [
        (1, D(40_400), D("1.25"), "WORKING"),
        (2, D(40_800), D("0.625"), "WORKING"),
        (0, D(42_000), D("0.625"), "WORKING"),
    ]
    assert world.resting(theo)["STOP"] == ALL


def test_each_target_takes_its_share_and_the_stop_shrinks_with_it(world: Scene) -> None:
    theo = world.subscriber(plan=LADDER)
    world.signal(BUY)
    goes_to(world, "40400")
    assert (world.net(theo), world.order(theo, "STOP").quantity) == (D("1.25"), D("1.25"))
    goes_to(world, "40800")
    assert (world.net(theo), world.order(theo, "STOP").quantity) == (D("0.625"), D("0.625"))
    goes_to(world, "42000")
    assert world.trade(theo).exit_type == "TAKE_PROFIT"
    assert [status for *_, status in rungs(world, theo)] == ["FILLED"] * 3
    assert world.resting(theo) == {}


def test_a_candle_through_two_targets_fills_both(world: Scene) -> None:
    theo = world.subscriber(plan=LADDER)
    world.signal(BUY)
    world.minute(high="40900")
    assert world.net(theo) == D("0.625")
    assert world.unprotected() == ()


def test_a_ladder_follows_every_fill_of_its_entry(transactional_db: None) -> None:
    with opened(HALVING) as world:
        world.minute()
        theo = world.subscriber(plan=LADDER)
        world.signal(BUY)
        part = world.net(theo)
        assert sum(quantity for _, _, quantity, _ in rungs(world, theo)) == part
        world.minute()
        assert [quantity for _, _, quantity, _ in rungs(world, theo)] == [D("1.25"), D("0.625"), D("0.625")]


def test_a_watched_ladder_sells_rung_by_rung_and_puts_the_stop_back_under_the_rest(transactional_db: None) -> None:
    with opened(replace(CALM, reserves_exits=True), RESERVING) as world:
        world.minute()
        theo = world.subscriber(plan=LADDER)
        world.signal(BUY)
        assert world.resting(theo) == {"STOP": ALL}
        goes_to(world, "40400")
        assert world.resting(theo) == {"STOP": D("1.25")}
        goes_to(world, "40800")
        assert world.resting(theo) == {"STOP": D("0.625")}
        assert world.unprotected() == ()
        goes_to(world, "39600")
        assert world.trade(theo).exit_type == "STOP_LOSS"


def test_the_stop_ends_what_is_left_of_a_ladder(world: Scene) -> None:
    theo = world.subscriber(plan=LADDER)
    world.signal(BUY)
    goes_to(world, "40400")
    goes_to(world, "39600")
    assert world.trade(theo).exit_type == "STOP_LOSS"
    assert [status for *_, status in rungs(world, theo)] == ["FILLED", "CANCELLED", "CANCELLED"]


# --- Time ----------------------------------------------------------------------------------------


def test_a_position_is_closed_when_it_has_lived_its_minutes(world: Scene) -> None:
    theo = world.subscriber(plan=Plan(minutes=3))
    world.signal(BUY)
    for _ in range(3):
        world.candle()
    assert world.position(theo).is_open  # it was opened a moment after the minute began
    world.candle()
    assert world.trade(theo).exit_type == "TIME_EXIT"
    assert world.resting(theo) == {}
    assert len(world.events("time_exit")) == 1
    assert Execution.objects.filter(instruction__kind="TIME_EXIT").count() == 1


def test_a_time_exit_waits_for_the_end_of_a_halt(world: Scene) -> None:
    theo = world.subscriber(plan=Plan(minutes=1))
    world.signal(BUY)
    account = world.position(theo).account
    account.state = "HALTED"
    account.save()
    for _ in range(3):
        world.candle()
    assert world.position(theo).is_open
    switch(Where.of_account(account), AccountState.ACTIVE, "over", world.clock.now(), who="Theo")
    world.settle()
    assert world.trade(theo).exit_type == "TIME_EXIT"


# --- What was chosen -----------------------------------------------------------------------------


def test_what_is_open_keeps_the_plan_that_it_was_entered_with(world: Scene) -> None:
    theo = world.subscriber(plan=BREAK_EVEN)
    world.signal(BUY)
    change_terms(theo, replace(terms_of(theo), plan=Plan()), world.clock.now())
    goes_to(world, "40400")
    assert world.position(theo).stop == D(40_060)
    assert world.execution(theo).plan == {"break_even": "1"}


def test_without_a_plan_nothing_is_watched(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    goes_to(world, "41900")
    assert not world.position(theo).watched
    assert world.execution(theo).plan is None
    assert StopMove.objects.count() == 0
