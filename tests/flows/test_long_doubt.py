"""Doubt that lasts: the venue is asked less and less often, somebody is told, and an exit is never repeated beyond what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.domain.orders import OrderType, Side
from signalist.execution.doubts import ALARM
from signalist.trading.discrepancies import Kind, State
from signalist.trading.models import OrderAttempt
from signalist.venues.base import OrderRequest
from signalist.venues.errors import NoAnswer
from tests.flows.by_hand import differences, looks
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


def falls_silent(world: Scene, times: int = 500) -> None:
    for method in ("look_up", "reports"):
        world.venue.refuses(NoAnswer("Down."), method, times=times)


def asked(world: Scene) -> int:
    return len(world.venue.asked("look_up"))


def passes(world: Scene, seconds: int) -> None:
    """Time passes with a sweep of the engine every second."""
    for _ in range(seconds):
        world.later(1)
        world.poll()


# --- Looks ---------------------------------------------------------------------------------------


def test_a_venue_that_says_nothing_is_asked_less_and_less_often(world: Scene) -> None:
    world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    falls_silent(world)
    world.signal(BUY)
    begun = asked(world)
    passes(world, 20)
    first = asked(world) - begun
    passes(world, 60)
    rest = asked(world) - begun - first
    assert first >= 5
    assert rest <= 4


def test_the_pause_is_never_longer_than_a_minute(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    falls_silent(world)
    world.signal(BUY)
    for _ in range(5):
        world.later(600)
        world.poll()
    doubtful = world.order(theo, "ENTRY")
    assert doubtful.not_before is not None
    assert doubtful.not_before - world.clock.now() == timedelta(seconds=60)


# --- The alarm -----------------------------------------------------------------------------------


def test_an_order_in_doubt_for_too_long_is_told_once_and_over_when_its_fate_is_known(world: Scene) -> None:
    theo = world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    falls_silent(world)
    world.signal(BUY)
    passes(world, int(ALARM.total_seconds()) - 2)
    assert differences() == []
    passes(world, 40)
    (row,) = differences()
    assert (row.kind, row.subject, row.pauses) == (
        Kind.ORDER_IN_DOUBT,
        world.order(theo, "ENTRY").client_order_id,
        True,
    )
    assert len(world.events("difference_found")) == 1
    world.venue._tricks.clear()
    world.later(61)
    world.poll()
    assert world.position(theo).quantity == ALL
    looks(world, 1)
    assert [row.state for row in differences(None)] == [State.GONE]


def test_an_order_that_was_in_doubt_is_lost_only_after_as_many_looks_as_any_other(world: Scene) -> None:
    """The venue knows it as filled at last, and its reports are late: a row about its doubt says nothing about that."""
    world.subscriber()
    world.venue.loses_the_answer(leg="ENTRY")
    falls_silent(world)
    world.signal(BUY)
    passes(world, int(ALARM.total_seconds()) + 40)
    assert [row.kind for row in differences()] == [Kind.ORDER_IN_DOUBT]
    world.venue._tricks.clear()
    world.venue.alters(lambda said: replace(said, fills=(), orders=(), cursor="0"), "reports", times=500)
    world.later(61)
    world.poll()
    looks(world, 1)
    assert differences() == [], "what was in doubt is known, and it is not lost yet"
    looks(world, 2)
    assert [(row.kind, row.facts["said"]) for row in differences()] == [(Kind.LOST_ORDER, "FILLED")]
    assert [row.kind for row in differences(State.GONE)] == [Kind.ORDER_IN_DOUBT]


# --- Exits ---------------------------------------------------------------------------------------


def test_an_exit_is_repeated_only_for_what_the_venue_still_holds(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.loses_the_request(leg="EXIT")

    async def somebody_closes_a_part() -> None:
        await world.exchange.place(theo.account.venue_ref, _by_hand("1"))

    world.venue.before(somebody_closes_a_part, "positions")
    world.signal(EXIT_LONG)
    assert world.net(theo) == 0, "the reverse was never opened"
    lost, repeated, waits = world.orders(theo, "EXIT")
    assert (lost.status, repeated.status, repeated.quantity) == ("REJECTED", "FILLED", Decimal("1.5"))
    attempt = OrderAttempt.objects.get(order=repeated)
    assert (waits.status, waits.filled) == ("CREATED", Decimal(0)), "for what somebody else has closed"
    assert attempt.request["quantity"] == "1.5", "what was sent, and not what had been asked for"


def test_what_was_sent_of_an_exit_is_on_record_though_nobody_answered(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.loses_the_request(leg="EXIT", times=2)

    async def somebody_closes_a_part() -> None:
        await world.exchange.place(theo.account.venue_ref, _by_hand("1"))

    world.venue.before(somebody_closes_a_part, "positions")
    world.signal(EXIT_LONG)
    first, second = world.orders(theo, "EXIT")[:2]
    sent = {one.order_id: one.request["quantity"] for one in OrderAttempt.objects.filter(order__in=(first, second))}
    assert sent == {first.pk: "2.5", second.pk: "1.5"}


def test_an_exit_whose_position_is_gone_is_not_repeated_and_asks(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.loses_the_request(leg="EXIT")

    async def somebody_closes() -> None:
        await world.exchange.place(theo.account.venue_ref, _by_hand("2.5"))

    world.venue.before(somebody_closes, "positions")
    world.signal(EXIT_LONG)
    assert world.net(theo) == 0
    repeated = world.orders(theo, "EXIT")[-1]
    assert (repeated.status, repeated.filled) == ("CREATED", Decimal(0))
    assert "holds nothing" in repeated.reason
    looks(world)
    assert [row.kind for row in differences()] == [Kind.MANUAL_CLOSE]
    assert world.net(theo) == 0


def _by_hand(quantity: str) -> OrderRequest:
    return OrderRequest(
        "by-hand-x", "BTC-PERP", Side.SELL, OrderType.MARKET, Decimal(quantity), None, None, False, Decimal(10), "x"
    )
