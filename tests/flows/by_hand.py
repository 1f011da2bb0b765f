"""What a user does at the venue by themselves, past us, and how the engine comes to look at it."""

from __future__ import annotations

from decimal import Decimal

from signalist.accounts.models import Account
from signalist.domain.orders import OrderType, Side
from signalist.trading.discrepancies import Discrepancy, State
from signalist.trading.models import Subscription
from signalist.venues.base import OrderRequest
from tests.flows.scene import Scene

BY_HAND = "by-hand-"


def trades(
    world: Scene,
    subscription: Subscription,
    side: Side,
    quantity: str,
    kind: OrderType = OrderType.MARKET,
    *,
    level: str | None = None,
    name: str = "1",
    symbol: str = "BTC-PERP",
) -> str:
    """The user places an order at the venue; its id there."""
    price = Decimal(level) if level is not None and kind is OrderType.LIMIT else None
    trigger = Decimal(level) if level is not None and kind is not OrderType.LIMIT else None
    request = OrderRequest(
        BY_HAND + name, symbol, side, kind, Decimal(quantity), price, trigger, False, Decimal(10), f"by hand {name}"
    )
    return world.drive(world.exchange.place(subscription.account.venue_ref, request)).venue_order_id


def looks(world: Scene, times: int = 3) -> None:
    """So many looks of the engine, each some time after the last."""
    for _ in range(times):
        world.later(61)
        world.price(str(world._prices["BTC-PERP"]))
        assert world.engine.calls.comparer is not None
        world.engine.calls.comparer.wants(list(Account.objects.values_list("pk", flat=True)))
        world.poll()


def differences(state: State | None = State.OPEN) -> list[Discrepancy]:
    """The differences in this state, oldest first."""
    found = Discrepancy.objects.order_by("pk")
    return list(found if state is None else found.filter(state=state))


def seen(*names: str) -> list[tuple[object, ...]]:
    """These columns of the differences that are open."""
    return [tuple(getattr(row, name) for name in names) for row in differences()]
