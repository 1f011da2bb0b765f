"""A stop or target that the venue did not know when it was looked up, and has all the same: one of two stands, and fills are booked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from signalist.accounts.models import Account
from signalist.domain.matching import Bar
from signalist.domain.orders import OrderStatus
from signalist.execution import reconcile
from signalist.trading.models import Fill, Order, Subscription
from signalist.venues.base import OrderReport, OrderRequest
from signalist.venues.errors import NoAnswer
from signalist.venues.paper.exchange import SymbolBar
from tests.flows.scene import LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")
BOTH = pytest.mark.parametrize("leg", ["STOP", "TARGET"])
# Where the market goes for the leg to be filled, and by what the position is closed then.
REACHED = {"STOP": ("39500", "STOP_LOSS"), "TARGET": ("40900", "TAKE_PROFIT")}


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


def arrives_late(world: Scene, order: Order) -> None:
    """The venue takes an order that was under way all the time, and says that it is there."""
    _, side, kind = order.words
    ref = order.account.venue_ref
    request = OrderRequest(
        order.client_order_id,
        "BTC-PERP",
        side,
        kind,
        order.quantity,
        order.price,
        order.trigger,
        order.reduce_only,
        order.leverage,
        order.tag,
    )
    taken = world.drive(world.exchange.place(ref, request))
    there = OrderReport(
        order.client_order_id,
        taken.venue_order_id,
        OrderStatus.WORKING,
        order.quantity,
        Decimal(0),
        "",
        world.clock.now(),
    )
    world.venue.announced.setdefault(ref, []).append(there)


def given_up_and_not_replaced(world: Scene, theo: Subscription, leg: str) -> Order:
    """The leg has just been given up, and nobody has come to replace it."""
    world.venue.loses_the_request(leg=leg)
    world.venue.refuses(NoAnswer("Down."), "look_up", times=1)
    world.signal(BUY)
    for _ in range(2):
        world.drive(reconcile.look_up(world.engine.sessions, world.clock, world.engine.database))
    order = world.order(theo, leg)
    assert order.status == "REJECTED"
    return order


def resting(world: Scene, subscription: Subscription) -> list[str]:
    """The legs that rest in the venue's own book, as often as they rest there."""
    ref = subscription.account.venue_ref
    return sorted(order.tag.rpartition(":")[2] for order in world.store.resting() if order.ref == ref)


@BOTH
def test_one_that_was_replaced_meanwhile_is_taken_down(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg=leg)
    world.signal(BUY)
    lost, stands = world.orders(theo, leg)
    arrives_late(world, lost)
    world.poll()
    assert Account.objects.get().state == "ACTIVE"
    assert [(order.n, order.status) for order in world.orders(theo, leg)] == [(0, "CANCELLED"), (1, "WORKING")]
    assert resting(world, theo) == ["STOP", "TARGET"]
    assert world.events("order_turned_up") == [{"order": lost.pk, "leg": leg}]
    price, exit_type = REACHED[leg]
    world.minute(close=price)
    assert world.trade(theo).exit_type == exit_type
    assert Fill.objects.filter(order=stands).count() == 1
    assert (world.net(theo), resting(world, theo)) == (0, [])


@BOTH
def test_one_that_nothing_has_replaced_yet_stands(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    arrives_late(world, given_up_and_not_replaced(world, theo, leg))
    world.poll()
    assert Account.objects.get().state == "ACTIVE"
    assert [(order.n, order.status) for order in world.orders(theo, leg)] == [(0, "WORKING")]
    assert resting(world, theo) == ["STOP", "TARGET"]
    assert world.venue.asked("cancel") == []
    price, exit_type = REACHED[leg]
    world.minute(close=price)
    assert world.trade(theo).exit_type == exit_type


@BOTH
def test_one_that_fills_before_it_is_taken_down_closes_the_position_once(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg=leg)
    world.signal(BUY)
    arrives_late(world, world.orders(theo, leg)[0])
    price, exit_type = REACHED[leg]

    async def market_moves() -> None:
        move = SymbolBar("BTC-PERP", Bar.tick(Decimal(price)), world.clock.now(), world.clock.now())
        await world.exchange.on_bars([move])

    world.venue.before(market_moves, "cancel", leg=leg)
    world.poll()
    world.poll()
    assert Account.objects.get().state == "ACTIVE"
    assert (world.trade(theo).exit_type, world.trade(theo).quantity) == (exit_type, ALL)
    assert (world.net(theo), resting(world, theo)) == (0, [])
    assert not any(order.state in ("WORKING", "UNKNOWN") for order in world.orders(theo))


@BOTH
def test_of_two_that_turn_up_at_once_one_stands(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg=leg)
    world.signal(BUY)
    first, second = world.orders(theo, leg)
    ref = theo.account.venue_ref
    world.drive(world.exchange.cancel(ref, second.client_order_id))
    Order.objects.filter(pk=second.pk).update(status="REJECTED")
    arrives_late(world, first)
    world.venue.announced[ref].append(
        OrderReport(second.client_order_id, "P-2", OrderStatus.WORKING, ALL, Decimal(0), "", world.clock.now())
    )
    world.poll()
    assert Account.objects.get().state == "ACTIVE"
    assert [order.status for order in world.orders(theo, leg)].count("WORKING") == 1
    assert resting(world, theo) == ["STOP", "TARGET"]


def test_one_whose_position_is_closed_by_then_goes(world: Scene) -> None:
    theo = world.subscriber()
    lost = given_up_and_not_replaced(world, theo, "STOP")
    world.minute(close="40900")
    assert world.trade(theo).exit_type == "TAKE_PROFIT"
    arrives_late(world, lost)
    world.drive(world.engine.watch())
    world.settle()
    assert resting(world, theo) == []
    assert not any(order.state in ("WORKING", "UNKNOWN") for order in world.orders(theo))


def test_the_account_that_it_happens_to_goes_on_trading(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_request(leg="STOP")
    world.signal(BUY)
    arrives_late(world, world.orders(theo, "STOP")[0])
    world.poll()
    world.minute(close="40900")
    world.signal(entry(LONG, "40500", "41700"))
    assert world.net(theo) > 0
    assert resting(world, theo) == ["STOP", "TARGET"]


@BOTH
def test_one_whose_fill_is_heard_before_it_is_said_to_rest_is_over(world: Scene, leg: str) -> None:
    theo = world.subscriber()
    lost = given_up_and_not_replaced(world, theo, leg)
    arrives_late(world, lost)
    world.venue.announced.clear()
    price, exit_type = REACHED[leg]
    world.minute(close=price)
    assert world.order(theo, leg).status == "FILLED"
    assert world.trade(theo).exit_type == exit_type
    # What was written down before it filled is read after it.
    there = OrderReport(lost.client_order_id, "P-late", OrderStatus.WORKING, ALL, Decimal(0), "", world.clock.now())
    world.venue.announced.setdefault(theo.account.venue_ref, []).append(there)
    world.poll()
    world.poll()
    assert world.order(theo, leg).status == "FILLED"
    assert (world.net(theo), resting(world, theo)) == (0, [])
