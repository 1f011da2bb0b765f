"""Dust that a netting venue goes on holding, and a later position the other way: the venue sets the one off against the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from signalist.domain.orders import Side
from signalist.trading.discrepancies import Answer, Kind, State
from signalist.trading.dust import given_up
from signalist.trading.models import Position, Subscription
from tests.cast import person
from tests.flows.by_hand import differences, looks, trades
from tests.flows.scene import EXIT_LONG, EXIT_SHORT, LONG, SHORT, Scene, entry
from tests.flows.test_answers import answered

BUY = entry(LONG, "39600", "40800")
SELL = entry(SHORT, "41400", "39000")
DUST = Decimal("0.01")


@pytest.fixture
def world(scene: Scene) -> Scene:
    scene.minute()
    return scene


def left_over(book: Any) -> None:
    for position in book.positions.values():
        position.quantity, position.value, position.changed = DUST, DUST * 40_000, True


@pytest.fixture
def theo(world: Scene) -> Subscription:
    """He is short where a hundredth of a long position lay as dust, bought for a thousand less: the venue holds that less."""
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.signal(EXIT_LONG)
    # As if a hundredth of the position could not have been closed: it lies at the venue at its cost.
    Position.objects.update(dust=DUST)
    world.store.transact({theo.account.venue_ref}, set(), left_over)
    world.minute("41000", close="41000")
    world.signal(SELL)
    world.minute()
    assert world.net(theo) == DUST - world.position(theo).quantity
    world.books_agree = False  # the fills of the first position leave nothing: its dust was made up here
    return theo


def ended(world: Scene, theo: Subscription) -> None:
    """The short position is over at both sides, and so is the dust; the next signal is traded."""
    position = world.position(theo)
    assert (position.is_open, position.quantity, position.dust) == (False, DUST, DUST)
    assert given_up([theo.account_id])[theo.account_id] == {world.btc.pk: 0}
    assert world.net(theo) == 0
    assert world.resting(theo) == {}
    assert not [order for order in world.orders(theo) if not order.state.is_final], (
        "nothing waits that can never be sent"
    )
    looks(world, 4)
    assert differences() == [], "nor in the money, though the venue has booked what the dust brought"
    world.minute()
    world.signal(entry(LONG, "40600", "43000"))
    assert world.position(theo).direction == "LONG"


@pytest.mark.parametrize("how", ["signal", "stop"])
def test_a_position_that_was_set_off_against_dust_ends_with_it(world: Scene, theo: Subscription, how: str) -> None:
    looks(world, 4)
    assert differences() == [], "what lies beside is counted in"
    if how == "signal":
        world.signal(EXIT_SHORT)
    else:
        world.price("41500")
        world.settle()
    assert world.events("dust_written_off")[-1]["quantity"] == "0.01"
    ended(world, theo)


@pytest.mark.parametrize("beyond", [Decimal(0), DUST])
def test_a_close_past_us_of_such_a_position_is_adopted(world: Scene, theo: Subscription, beyond: Decimal) -> None:
    trades(world, theo, Side.BUY, str(abs(world.net(theo)) + beyond), name="2")
    looks(world)
    (row,) = differences()
    assert (row.kind, row.theirs) == (Kind.MANUAL_CLOSE, beyond), "who closes what we show leaves what lay beside it"
    answered(world, person("Olga"), Answer.ADOPT)
    world.poll()
    row.refresh_from_db()
    assert (row.state, row.answer_problem, world.position(theo).is_open) == (State.RESOLVED, "", False)
    if not beyond:
        ended(world, theo)
