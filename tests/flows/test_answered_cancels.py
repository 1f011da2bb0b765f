"""What a venue answers to a cancel is taken for what it says: an order is gone where the answer shows it as over, and not before."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.domain.matching import Bar
from signalist.domain.orders import OrderStatus
from signalist.trading.models import Order, Reservation
from signalist.trading.order_actions import cancel_order
from signalist.venues.base import OrderReport
from signalist.venues.paper.exchange import SymbolBar
from tests.flows.scene import EXIT_LONG, HALVING, LONG, Scene, entry, opened, statuses
from tests.flows.test_orders_by_hand import change, resting
from tests.flows.test_orders_by_hand import order as given

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


def report(order: Order, status: OrderStatus, filled: str = "0", quantity: str = "2.5") -> OrderReport:
    """What a venue answers about the order."""
    return OrderReport(
        order.client_order_id,
        order.venue_order_id,
        status,
        Decimal(quantity),
        Decimal(filled),
        "",
        order.updated_at,
    )


def cancels(scene: Scene) -> int:
    return len(scene.venue.asked("cancel"))


def test_an_order_that_still_stands_after_its_cancel_is_in_doubt_and_asked_again_later(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    scene.venue.says(report(row, OrderStatus.WORKING), "cancel", leg="ENTRY", times=2)
    cancel_order(row, "c", scene.clock.now(), None)
    scene.settle()
    assert statuses(scene.orders(book)) == [("ENTRY", "UNKNOWN")], "the venue has it, and it may fill"
    assert Reservation.objects.filter(released=False).count() == 1
    assert cancels(scene) == 1, "not again and again in one breath"
    for seconds in (2, 4):
        scene.later(seconds)
        scene.poll()
    assert cancels(scene) == 3
    assert statuses(scene.orders(book)) == [("ENTRY", "CANCELLED")]
    assert not Reservation.objects.filter(released=False).exists()
    assert scene.resting(book) == {}


def test_an_order_that_fills_while_its_cancel_is_pending_is_booked(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    scene.venue.says(report(row, OrderStatus.WORKING), "cancel", leg="ENTRY")
    cancel_order(row, "c", scene.clock.now(), None)
    scene.settle()
    scene.minute(low="39700", close="39900")
    assert scene.order(book, "ENTRY").status == "FILLED"
    assert scene.position(book).quantity == ALL == scene.net(book)
    assert scene.resting(book)["STOP"] == ALL


@pytest.mark.parametrize("over", [OrderStatus.CANCELLED, OrderStatus.EXPIRED])
def test_a_cancel_that_speaks_of_fills_nobody_has_heard_of_is_looked_up(
    transactional_db: None, over: OrderStatus
) -> None:
    with opened(HALVING) as scene:
        book = given(scene, scene.account(), wait=True)
        scene.settle()
        row = scene.order(book, "ENTRY")
        scene.venue.says(report(row, over, filled="2.4"), "cancel", leg="ENTRY")
        cancel_order(row, "c", scene.clock.now(), None)
        scene.settle()
        assert scene.venue.asked("look_up") == [("look_up", "ENTRY")]
        assert scene.order(book, "ENTRY").status == "PARTIAL", "so says the venue when it is asked"
        scene.venue.says(report(row, over, filled=str(row.filled)), "cancel", leg="ENTRY")
        cancel_order(scene.order(book, "ENTRY"), "d", scene.clock.now(), None)
        scene.settle()
        assert scene.order(book, "ENTRY").status == over.value
        assert scene.position(book).quantity == row.filled == scene.net(book)


def test_a_stop_that_was_filled_is_not_called_cancelled(scene: Scene) -> None:
    """The exit that comes for the same position must not open the reverse."""
    scene.minute()
    theo = scene.subscriber()
    scene.signal(BUY)
    scene.minute()

    async def market_falls() -> None:
        now = scene.clock.now() + timedelta(seconds=2)
        await scene.exchange.on_bars([SymbolBar("BTC-PERP", Bar.tick(Decimal(39_500)), now, now)])

    stop = scene.order(theo, "STOP")
    scene.venue.says(report(stop, OrderStatus.FILLED, "2.5"), "cancel", market_falls, leg="STOP")
    scene.signal(EXIT_LONG)
    assert (scene.order(theo, "STOP").status, scene.order(theo, "EXIT").status) == ("FILLED", "CANCELLED")
    assert scene.trade(theo).exit_type == "STOP_LOSS"
    assert scene.net(theo) == 0


def test_an_order_that_was_over_before_it_could_be_amended_is_looked_up(scene: Scene) -> None:
    book, row = resting(scene, scene.account())
    scene.venue.says(report(row, OrderStatus.CANCELLED), "amend", leg="ENTRY")
    change(scene, row, quantity="1")
    scene.settle()
    assert scene.venue.asked("look_up") == [("look_up", "ENTRY")]
    assert scene.order(book, "ENTRY").quantity == Decimal(1), "it was there after all, and was amended then"
    assert scene.resting(book) == {"ENTRY": Decimal(1)}
