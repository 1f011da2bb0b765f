"""What lies at a venue beside our positions is not ours to sell: neither by an exit that is repeated nor by one that overtakes a stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.domain.orders import OrderType, Side
from signalist.domain.protection import Plan
from signalist.domain.rules import Limits
from signalist.trading.actions import subscribe
from signalist.trading.answers import answer
from signalist.trading.discrepancies import Answer
from signalist.trading.models import Subscription
from signalist.trading.terms import Terms
from signalist.venues.base import OrderRequest
from signalist.venues.errors import NoAnswer
from signalist.venues.paper.venue import CAPABILITIES
from tests.cast import person
from tests.flows.by_hand import differences, looks, trades
from tests.flows.scene import EXIT_LONG, LONG, NOON, Scene, entry, opened
from tests.flows.tricks import Trick

BUY = entry(LONG, "39600", "40800")
ALL = Decimal("2.5")


def arrives_late(world: Scene, one: Subscription) -> None:
    """The first exit is lost on its way, is not found, and arrives all the same, right before what is held is asked for."""
    ref, lost = one.account.venue_ref, list[str]()

    async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
        lost.append(world.venue.calls[-1].order_id)
        raise NoAnswer("The connection was cut.")

    async def arrive() -> None:
        request = OrderRequest(
            lost[0], "BTC-PERP", Side.SELL, OrderType.MARKET, ALL, None, None, False, Decimal(10), "late"
        )
        await world.exchange.place(ref, request)

    world.venue._tricks.append(Trick(play, "place", leg="EXIT"))
    world.venue.before(arrive, "positions")


@pytest.mark.parametrize("stock", [False, True], ids=["a position beside, kept", "coins at a spot venue"])
def test_an_exit_that_is_repeated_leaves_alone_what_is_the_users_own(transactional_db: None, stock: bool) -> None:
    with opened(capabilities=replace(CAPABILITIES, holds_stock=stock, reduce_only=not stock)) as world:
        world.minute()
        theo = world.subscriber()
        world.signal(BUY)
        trades(world, theo, Side.BUY, "3")
        looks(world)
        if not stock:
            (row,) = differences()
            answer(row, Answer.KEEP, None, world.clock.now(), by=person("Theo"))
            world.poll()
        assert differences() == []
        arrives_late(world, theo)
        world.signal(EXIT_LONG)
        assert world.net(theo) == 3, "what is the user's own"
        assert [order.status for order in world.orders(theo, "EXIT")] == ["FILLED", "CREATED"]
        world.later(5)
        world.poll()
        assert world.net(theo) == 3
        assert not world.position(theo).is_open, "the late fill was booked"
        assert world.order(theo, "EXIT").status == "CANCELLED"


def test_what_other_subscriptions_of_the_account_hold_there_is_not_an_exits_to_take(transactional_db: None) -> None:
    with opened(capabilities=replace(CAPABILITIES, nets=False)) as world:
        world.minute()
        account = world.account()
        theo = world.subscriber(account=account)
        other = world.strategy("other", world.btc)
        terms = Terms(Decimal(1000), Decimal("0.01"), None, Decimal(10), Limits(), Plan())
        twin = subscribe(account, other, world.btc, terms, NOON - timedelta(hours=1), nets=False)
        world.signal(BUY)
        world.signal(BUY, schedule=other)
        both = world.net(theo)
        world.minute()
        arrives_late(world, theo)
        world.signal(EXIT_LONG)
        assert world.net(theo) == both - ALL
        assert world.position(twin).is_open
