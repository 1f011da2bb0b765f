"""Stage `protect` in the whole chain: a stop and a target for what is really held, one of each, resized by every fill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.db import fast
from signalist.domain.orders import Leg, OrderStatus, Side
from signalist.execution.legs import Changes, Numbers, cover
from signalist.execution.protection_plan import Wanted
from signalist.trading.discrepancies import Discrepancy, Kind
from signalist.trading.models import Fill, Instruction, Order, Position, Subscription, Trade
from signalist.venues.base import FillReport, OrderReport
from signalist.venues.errors import Refused
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.scene import EXIT_LONG, HALVING, LONG, SHORT, Scene, entry, opened, statuses

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


@pytest.fixture(params=[True, False], ids=["amends in place", "cannot amend"])
def halving(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Scene]:
    """A market that takes orders in two parts, at a venue that can, and at one that cannot change a quantity in place."""
    with opened(HALVING, replace(CAPABILITIES, amend=request.param)) as world:
        world.minute()
        yield world


def levels(order: Order) -> tuple[str, str, Decimal, Decimal | None, bool]:
    return order.side, order.type, order.quantity, order.trigger, order.reduce_only


def test_an_entry_is_followed_by_a_stop_and_a_target_for_what_was_filled(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    assert statuses(world.orders(theo)) == [("ENTRY", "FILLED"), ("STOP", "WORKING"), ("TARGET", "WORKING")]
    assert levels(world.order(theo, "STOP")) == ("SELL", "STOP", ALL, Decimal(39_600), True)
    assert levels(world.order(theo, "TARGET")) == ("SELL", "TAKE_PROFIT", ALL, Decimal(40_800), True)
    assert world.resting(theo) == {"STOP": ALL, "TARGET": ALL}
    assert world.unprotected() == ()


def test_a_short_is_protected_the_other_way_round(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(entry(SHORT, "40400", "39200"))
    assert world.net(theo) == -ALL
    assert levels(world.order(theo, "STOP")) == ("BUY", "STOP", ALL, Decimal(40_400), True)
    assert levels(world.order(theo, "TARGET")) == ("BUY", "TAKE_PROFIT", ALL, Decimal(39_200), True)


def test_an_entry_without_a_target_gets_a_stop_alone(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(entry(LONG, "39600"))
    assert world.resting(theo) == {"STOP": ALL}


def test_a_part_is_protected_at_once_and_the_rest_when_it_comes(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    part = halving.net(theo)
    assert 0 < part < ALL
    assert halving.order(theo, "ENTRY").status == "PARTIAL"
    assert halving.resting(theo) == {"ENTRY": ALL - part, "STOP": part, "TARGET": part}
    halving.minute()
    assert halving.net(theo) == ALL
    assert halving.resting(theo) == {"STOP": ALL, "TARGET": ALL}
    assert halving.unprotected() == ()


def test_a_stop_is_resized_in_place_where_the_venue_can_and_replaced_where_not(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    halving.minute()
    numbers = [(order.n, order.status) for order in halving.orders(theo, "STOP")]
    asked = [call for call in halving.venue.asked("place", "cancel", "amend") if call[1] == "STOP"]
    if halving.venue.capabilities.amend:
        assert numbers == [(0, "WORKING")]
        assert asked == [("place", "STOP"), ("amend", "STOP")]
    else:
        assert numbers == [(0, "CANCELLED"), (1, "WORKING")]
        assert asked == [("place", "STOP"), ("cancel", "STOP"), ("place", "STOP")]


def test_there_is_never_more_than_one_stop_at_the_venue(halving: Scene) -> None:
    subscribers = [halving.subscriber(name) for name in ("Theo", "Vera", "Otto")]
    for _ in range(3):
        halving.signal(BUY)
        halving.minute()
        halving.signal(EXIT_LONG)
        for one in subscribers:
            ref = one.account.venue_ref
            stops = [o for o in halving.store.resting() if o.ref == ref and o.tag.endswith(":STOP")]
            assert len(stops) == (1 if halving.net(one) else 0)
        halving.minute()
    assert Trade.objects.count() == 9


# --- The other instrument ------------------------------------------------------------------------


def test_levels_on_another_instrument_are_recomputed_on_the_average_fill(transactional_db: None) -> None:
    with opened(replace(HALVING, slippage=Decimal("0.001"))) as world:
        world.rate("USD", "INR", "75")
        twin = world.instrument("BTC-PERP-INR", "3000000", quote="INR", tick="5")
        indira = world.subscriber("Indira", deposit="7500000", capital="7500000", instrument=twin)
        world.minute()
        world.signal(BUY)
        position = world.position(indira)
        bought = position.holding().average_entry
        assert bought == Decimal(3_003_000)  # the price and its slippage
        assert (position.stop, position.target) == (Decimal(2_972_970), Decimal(3_063_060))  # 0.99 and 1.02 of it
        assert world.execution(indira).stop == Decimal(2_970_000)  # the record keeps what was decided on
        assert world.order(indira, "STOP").trigger == position.stop


def test_levels_on_the_signals_own_instrument_stay_where_they_are(transactional_db: None) -> None:
    with opened(replace(HALVING, slippage=Decimal("0.001"))) as world:
        theo = world.subscriber()
        world.minute()
        world.signal(BUY)
        position = world.position(theo)
        assert position.holding().average_entry == Decimal(40_040)
        assert (position.stop, position.target) == (Decimal(39_600), Decimal(40_800))


# --- A stop that does not stand ------------------------------------------------------------------


def test_a_stop_that_was_refused_once_is_placed_anew(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.refuses(Refused("Not now."), leg="STOP")
    world.signal(BUY)
    assert [(o.n, o.status) for o in world.orders(theo, "STOP")] == [(0, "REJECTED"), (1, "WORKING")]
    assert world.unprotected() == ()


def test_a_position_whose_stop_is_refused_three_times_is_closed_at_market(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.venue.refuses(Refused("Never."), leg="STOP", ref=theo.account.venue_ref, times=99)
    world.signal(BUY)
    world.later(2)
    world.poll()
    assert [o.status for o in world.orders(theo, "STOP")] == ["REJECTED"] * 3
    assert world.trade(theo).exit_type == "EMERGENCY"
    assert world.net(theo) == 0
    assert world.resting(theo) == {}
    assert world.resting(vera) == {"STOP": ALL, "TARGET": ALL}
    emergency = Instruction.objects.get()
    assert (emergency.kind, emergency.account) == ("EMERGENCY", theo.account)
    assert [event["severity"] for event in world.events("emergency_exit")] == ["HIGH"]


def test_a_stop_that_the_venue_itself_takes_away_is_placed_anew(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    stop = world.order(theo, "STOP")
    ref = theo.account.venue_ref
    world.drive(world.exchange.cancel(ref, stop.client_order_id))
    gone = OrderReport(
        stop.client_order_id,
        stop.venue_order_id,
        OrderStatus.CANCELLED,
        ALL,
        Decimal(0),
        "house rules",
        world.clock.now(),
    )
    world.venue.announced[ref] = [gone]
    assert world.unprotected() != ()
    world.poll()
    assert [(o.n, o.status, o.reason) for o in world.orders(theo, "STOP")] == [
        (0, "CANCELLED", "house rules"),
        (1, "WORKING", ""),
    ]
    assert world.unprotected() == ()


# --- What venues report --------------------------------------------------------------------------


def invented(order_id: str, time: object, fill_id: str = "invented") -> FillReport:
    """A fill that the paper venue never made."""
    price = Decimal(40_000)
    return FillReport(fill_id, order_id, Side.BUY, "BTC-PERP", Decimal(1), price, Decimal(0), "USD", time)  # type: ignore[arg-type]


def test_a_fill_that_is_reported_twice_counts_once(world: Scene) -> None:
    world.venue.twice = True
    theo = world.subscriber()
    world.signal(BUY)
    world.minute(high="40900")
    assert Fill.objects.filter(order__subscription=theo).count() == 2
    assert world.position(theo).entry_quantity == ALL
    assert world.trade(theo).quantity == ALL


def test_a_fill_of_an_order_that_is_not_ours_is_a_difference_and_stops_nobody_from_leaving(world: Scene) -> None:
    theo, vera = world.subscriber("Theo"), world.subscriber("Vera")
    world.venue.invented[theo.account.venue_ref] = [invented("somebody's", world.clock.now())]
    world.signal(BUY)
    (row,) = Discrepancy.objects.all()
    assert (row.account_id, row.kind, row.symbol) == (theo.account_id, Kind.UNKNOWN_FILL, "BTC-PERP")
    assert not Account.objects.exclude(state=AccountState.ACTIVE).exists()
    assert len(world.events("difference_found")) == 1
    world.minute()
    world.signal(EXIT_LONG)
    assert [world.trade(one).exit_type for one in (theo, vera)] == ["SIGNAL", "SIGNAL"]


def test_a_fill_that_closes_more_than_is_open_halts_the_account_and_is_kept(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    stop = world.order(theo, "STOP")
    report = replace(invented(stop.client_order_id, world.clock.now()), side=Side.SELL, quantity=Decimal(3))
    world.venue.invented[theo.account.venue_ref] = [report]
    world.poll()
    assert Account.objects.get().state == AccountState.HALTED
    assert "closes 3 where only 2.5" in Account.objects.get().state_reason
    assert Fill.objects.filter(venue_fill_id="invented", position=None).count() == 1
    world.books_agree = False  # a fill without a position is a difference, and `rebuild --check` must say so


def test_a_position_is_one_per_subscription_however_often_it_is_filled(halving: Scene) -> None:
    theo = halving.subscriber()
    halving.signal(BUY)
    halving.minute()
    assert Fill.objects.filter(order__subscription=theo, order__leg="ENTRY").count() == 2
    assert Position.objects.filter(subscription=theo).count() == 1
    assert Subscription.objects.count() == 1


@pytest.mark.parametrize("busy", [False, True])
def test_a_level_that_goes_back_while_it_is_being_moved_is_a_wish_of_its_own(busy: bool) -> None:
    """The amendment that is under way moves it away from where it stands by our books."""
    now = datetime(2022, 1, 1, 12, tzinfo=UTC)
    order = fast.new(
        Order,
        id=1,
        leg="STOP",
        status="WORKING",
        quantity=Decimal(2),
        trigger=Decimal(100),
        busy=busy,
        wanted_quantity=Decimal(2),
    )
    order.wanted_trigger = Decimal(101)
    changes = Changes(now)
    wanted = Wanted(Leg.STOP, 0, Decimal(100), Decimal(2), watched=False)
    cover(fast.new(Position, id=1), wanted, order, Numbers(), True, changes)
    assert changes.touched == {1: order}
    assert (order.wanted_quantity, order.wanted_trigger) == (Decimal(2), Decimal(100) if busy else None)
