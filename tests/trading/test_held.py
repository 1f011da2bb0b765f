"""What is held stays as it was entered, and is shown to be closing only where something closes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from importlib import import_module

import pytest
from django.db import connection

from signalist.execution.fan_out import fan_out
from signalist.trading.actions import change_terms
from signalist.trading.marked_positions import Cover, OpenPosition
from signalist.trading.models import Order, Position, Subscription
from signalist.trading.open_positions import open_positions
from signalist.trading.terms import terms_of
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.scene import CALM, EXIT_LONG, EXIT_SHORT, LONG, SHORT, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
SELL = entry(SHORT, "40400", "39200")


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    with opened() as world:
        world.minute()
        yield world


def shown(scene: Scene) -> OpenPosition:
    (part,) = open_positions(scene.clock.now()).parts
    (position,) = part.positions
    return position


# --- Leverage ------------------------------------------------------------------------------------


def lever(scene: Scene, subscription: Subscription, leverage: str) -> None:
    """The subscriber chooses another leverage."""
    change_terms(subscription, replace(terms_of(subscription), leverage=Decimal(leverage)), scene.clock.now())


def test_a_position_is_protected_closed_and_shown_with_the_leverage_it_was_entered_with(transactional_db: None) -> None:
    with opened(CALM, replace(CAPABILITIES, amend=False)) as scene:
        theo = scene.subscriber(leverage="10")
        scene.minute()
        scene.signal(BUY)
        lever(scene, theo, "2")
        assert shown(scene).leverage == 10
        stop = scene.order(theo, "STOP")
        scene.drive(scene.exchange.cancel(theo.account.venue_ref, stop.client_order_id))
        Order.objects.filter(pk=stop.pk).update(status="CANCELLED")
        Position.objects.update(protection_due=True)
        scene.poll()
        assert [order.leverage for order in scene.orders(theo, "STOP")] == [10, 10]
        scene.minute()
        scene.signal(EXIT_LONG)
        assert scene.order(theo, "EXIT").leverage == 10


def test_the_next_entry_has_the_new_one(scene: Scene) -> None:
    theo = scene.subscriber(leverage="10")
    scene.signal(BUY)
    lever(scene, theo, "2")
    scene.minute(high="40900", close="40000")
    scene.signal(BUY)
    assert [order.leverage for order in scene.orders(theo, "ENTRY")] == [10, 2]
    assert [order.leverage for order in scene.orders(theo, "STOP")] == [10, 2]


def test_positions_from_before_it_was_kept_take_it_from_their_entry_orders(scene: Scene) -> None:
    low, high = scene.subscriber("Lena", leverage="2"), scene.subscriber("Hugo", leverage="20")
    scene.signal(BUY)
    Position.objects.update(leverage=1)
    with connection.cursor() as cursor:
        cursor.execute(import_module("signalist.trading.migrations.0006_position_leverage").OF_THE_ENTRY)
    assert (scene.position(low).leverage, scene.position(high).leverage) == (2, 20)


# --- Closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("entered", "left", "other"), [(BUY, EXIT_LONG, EXIT_SHORT), (SELL, EXIT_SHORT, EXIT_LONG)])
def test_a_position_closes_where_its_own_exit_waits_and_not_where_that_of_the_other_direction_does(
    scene: Scene, entered: object, left: object, other: object
) -> None:
    scene.subscriber()
    scene.signal(entered)  # type: ignore[arg-type]
    scene.minute()
    scene.signal(other, wait=True)  # type: ignore[arg-type]
    scene.stage(fan_out)
    assert shown(scene).cover is Cover.AT_VENUE
    scene.settle()
    scene.minute()
    scene.signal(left, wait=True)  # type: ignore[arg-type]
    scene.stage(fan_out)
    assert shown(scene).cover is Cover.CLOSING
