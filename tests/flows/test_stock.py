"""A venue that tells what is held, whoever bought it: what lies beside our positions is the person's own, and only a lack asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from signalist.domain.instruments import InstrumentKind
from signalist.domain.orders import Side
from signalist.markets.models import Instrument
from signalist.markets.selectors import forget_instruments
from signalist.trading.answers import answer
from signalist.trading.discrepancies import AccountLook, Answer, Kind, State
from signalist.trading.discrepancy_words import explained
from signalist.trading.labels import Market
from signalist.venues.paper.venue import CAPABILITIES
from tests.cast import person
from tests.flows.by_hand import differences, looks, seen, trades
from tests.flows.scene import CALM, LONG, Scene, entry, opened
from tests.flows.tricks import Trick

D = Decimal
BUY = entry(LONG, "39600", "40800")
ALL = D("2.5")
STOCK = replace(CAPABILITIES, holds_stock=True)


@pytest.fixture
def world(transactional_db: None) -> Iterator[Scene]:
    """The scene a minute after noon, on a spot market."""
    with opened(CALM, STOCK) as scene:
        Instrument.objects.update(kind=InstrumentKind.SPOT.value)
        forget_instruments()
        scene.minute()
        yield scene


def test_coins_that_the_person_buys_and_sells_beside_us_pause_nothing_and_are_counted_as_theirs(world: Scene) -> None:
    theo = world.subscriber()
    looks(world, 1)
    trades(world, theo, Side.BUY, "0.5")
    looks(world, 1)
    assert [row.pauses for row in differences(None)] == [False], "not even until the next look"
    looks(world, 4)
    assert [row.state for row in differences(None)] == [State.GONE], "neither the coins nor the money asks"
    world.signal(BUY)
    assert world.position(theo).quantity == ALL
    looks(world, 4)
    look = AccountLook.objects.get()
    assert (look.agrees, look.sums[0]["ours"], look.sums[0]["own"], look.sums[0]["venue"]) == (True, "2.5", "0.5", "3")
    trades(world, theo, Side.SELL, "0.5", name="2")
    looks(world, 4)
    assert differences() == [] and AccountLook.objects.get().sums[0]["own"] == "0"


def test_less_than_our_positions_need_is_a_difference_and_is_booked_as_it_is_answered(world: Scene) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "0.5")
    world.signal(BUY)
    looks(world, 2)
    trades(world, theo, Side.SELL, "0.8", name="2")
    looks(world, 4)
    assert seen("kind", "ours", "theirs", "pauses") == [(Kind.POSITION_SMALLER, ALL, D("2.2"), True)]
    (row,) = differences()
    assert "What is held beyond our positions is yours" in explained(row, Market.of(world.btc), "USD")
    answer(row, Answer.ADOPT, D(40_000), world.clock.now(), person("Olga"))
    world.poll()
    assert world.position(theo).quantity == D("2.2") == world.resting(theo)["STOP"]
    looks(world, 4)
    assert seen("kind") in ([], [(Kind.BALANCE_GAP,)]), (
        "the fee of what was sold by hand is money, and asked about as such"
    )


def test_a_lack_says_where_the_history_was_not_read_as_far_back_as_was_wanted(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    looks(world, 1)

    async def cut_off(carry_out: Callable[[], Awaitable[Any]]) -> object:
        return replace(await carry_out(), unread_until=datetime(2024, 2, 6, tzinfo=UTC))

    world.venue._tricks.append(Trick(cut_off, "reports", times=99))  # type: ignore[arg-type]
    trades(world, theo, Side.SELL, "2.5")
    looks(world, 4)
    (row,) = differences()
    assert row.kind == Kind.MANUAL_CLOSE
    assert "read back to 6 February 2024 only" in explained(row, None, "USD")
