"""What a venue holds and our books do not, or the other way round: it becomes a difference that denies entries and asks."""

from __future__ import annotations

from decimal import Decimal

import pytest

from signalist.accounts.models import Account, AccountState
from signalist.domain.orders import OrderType, Side
from signalist.trading.discrepancies import AccountLook, ForeignFill, Kind, State
from tests.flows.by_hand import differences, looks, seen, trades
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


@pytest.fixture
def world(scene: Scene) -> Scene:
    """The scene a minute after noon."""
    scene.minute()
    return scene


# --- No false alarm ------------------------------------------------------------------------------


def test_books_that_agree_open_nothing_however_often_they_are_looked_at(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    looks(world, 4)
    assert differences(None) == []
    (look,) = AccountLook.objects.all()
    assert look.agrees
    assert look.sums == [
        {"symbol": "BTC-PERP", "held": {str(theo.pk): "2.5"}, "ours": "2.5", "own": "0", "venue": "2.5"}
    ]


def test_what_one_look_sees_is_no_difference_yet(world: Scene) -> None:
    theo = world.subscriber()
    looks(world, 1)
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world, 1)
    assert differences() == []
    looks(world, 1)
    assert len(differences()) == 1


# --- What is found -------------------------------------------------------------------------------


def test_an_order_that_is_not_ours_is_found_with_its_terms(world: Scene) -> None:
    theo = world.subscriber()
    order = trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    (row,) = differences()
    assert (row.kind, row.subject, row.ours, row.theirs) == (Kind.EXTERNAL_ORDER, order, None, Decimal(1))
    assert (row.facts["side"], row.facts["type"], row.facts["level"]) == ("BUY", "LIMIT", "30000")


def test_a_position_that_somebody_closed_is_a_manual_close_with_the_venues_price(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.SELL, "2.5")
    looks(world)
    assert seen("kind", "ours", "theirs") == [(Kind.MANUAL_CLOSE, ALL, Decimal(0))]
    (fill,) = ForeignFill.objects.all()
    assert (fill.side, fill.quantity, fill.price) == ("SELL", ALL, Decimal(40_000))
    assert differences()[0].facts["told"] == "yes"


def test_more_than_we_hold_is_a_position_larger_than_the_books(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.BUY, "0.5")
    looks(world)
    assert seen("kind", "ours", "theirs") == [(Kind.POSITION_LARGER, ALL, Decimal(3))]


# --- What follows --------------------------------------------------------------------------------


def test_entries_in_that_market_are_denied_by_name_and_the_account_goes_on(world: Scene) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.signal(BUY)
    denied = world.execution(theo)
    assert (denied.status, denied.rule, denied.numbers) == ("DENIED", "difference", {"kind": "EXTERNAL_ORDER"})
    assert Account.objects.get().state == AccountState.ACTIVE


def test_exits_go_on(world: Scene) -> None:
    theo = world.subscriber()
    world.signal(BUY)
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.signal(EXIT_LONG)
    assert world.trade(theo).exit_type == "SIGNAL"
    assert world.net(theo) == 0


def test_a_difference_that_goes_by_itself_lets_entries_in_again(world: Scene) -> None:
    theo = world.subscriber()
    trades(world, theo, Side.BUY, "1", OrderType.LIMIT, level="30000")
    looks(world)
    world.drive(world.exchange.cancel(theo.account.venue_ref, "by-hand-1"))
    looks(world, 1)
    assert differences() == []
    assert [row.state for row in differences(None)] == [State.GONE]
    assert len(world.events("difference_found")) == len(world.events("difference_gone")) == 1
    world.signal(BUY)
    assert world.position(theo).quantity == ALL
