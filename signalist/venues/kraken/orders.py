"""Orders and fills between the house's values and Kraken's REST words. Pure; raises Refused for what is no order, ValueError for what is
none of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.domain.money import ZERO
from signalist.domain.orders import OrderStatus, OrderType
from signalist.venues.base import FillReport, OpenOrder, OrderReport, OrderRequest
from signalist.venues.errors import NotSent, Refused
from signalist.venues.kraken.parse import moment, number, side
from signalist.venues.kraken.symbols import Pair, Pairs

LONGEST_NAME = 36
LEAST_AHEAD, MOST_AHEAD = timedelta(seconds=2), timedelta(seconds=60)
"""What Kraken takes as an order's deadline, from its own time on."""

TYPES: Mapping[OrderType, str] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop-loss",
    OrderType.TAKE_PROFIT: "take-profit",
}
_KINDS: Mapping[str, OrderType] = {
    **{word: kind for kind, word in TYPES.items()},
    "stop-loss-limit": OrderType.STOP,
    "trailing-stop": OrderType.STOP,
    "trailing-stop-limit": OrderType.STOP,
    "take-profit-limit": OrderType.TAKE_PROFIT,
    "iceberg": OrderType.LIMIT,
    "settle-position": OrderType.MARKET,
}
_STATUSES: Mapping[str, OrderStatus] = {
    "pending": OrderStatus.WORKING,
    "open": OrderStatus.WORKING,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
}


def kind_of(word: str) -> OrderType:
    """An order's type; Kraken writes some with a space in its histories. Those that we never place count as their nearest kin."""
    return _KINDS.get(word.replace(" ", "-"), OrderType.LIMIT)


def fields(
    request: OrderRequest, pair: Pair, now: datetime | None = None, *, fee_in_quote: bool = True
) -> dict[str, object]:
    """The fields of AddOrder. `now` is Kraken's time, by which the deadline has to be 2 to 60 seconds ahead. Raises Refused, and NotSent
    where less time is left than Kraken takes."""
    said: dict[str, object] = {
        "pair": pair.key,
        "type": request.side.value.lower(),
        "ordertype": TYPES[request.type],
        "volume": request.quantity,
    }
    if request.client_order_id:
        said["cl_ord_id"] = request.client_order_id
    level = request.price if request.type is OrderType.LIMIT else request.trigger
    if level is not None and request.type is not OrderType.MARKET:
        said["price"] = level
    if fee_in_quote:
        # What was bought is then held whole, so that a stop for it is not for more than there is.
        said["oflags"] = "fciq"
    if request.expires_at is not None and now is not None:
        if request.expires_at - now < LEAST_AHEAD:
            raise NotSent("Less time is left than Kraken takes as a deadline.")
        said["deadline"] = written(min(request.expires_at, now + MOST_AHEAD))
    return said


def written(at: datetime) -> str:
    """A moment in RFC 3339, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check(request: OrderRequest, pair: Pair) -> None:
    """Refuse what Kraken would, before it counts against the limits: what is no complete order, or is off the steps."""
    if not 0 < len(request.client_order_id) <= LONGEST_NAME:
        raise Refused(f"An order has an id of at most {LONGEST_NAME} characters.")
    if request.type is OrderType.LIMIT and request.price is None:
        raise Refused("A limit order needs a price.")
    if request.type in (OrderType.STOP, OrderType.TAKE_PROFIT) and request.trigger is None:
        raise Refused(f"A {request.type.lower()} order needs a trigger.")
    if request.leverage != 1:
        raise Refused("Kraken's spot market is traded without leverage here.")
    check_quantity(request.quantity, pair)
    if request.quantity < pair.spec.min_quantity:
        raise Refused(f"The quantity {request.quantity} is under the minimum {pair.spec.min_quantity}.")
    for level in (request.price, request.trigger):
        if level is not None:
            check_price(level, pair)
    level = request.price or request.trigger
    if level is not None and (problem := pair.spec.too_small(request.quantity, level)) is not None:
        raise Refused(problem)


def check_quantity(quantity: Decimal, pair: Pair) -> None:
    """Raise Refused for a quantity off the pair's step, or none."""
    if not quantity.is_finite() or quantity <= 0 or quantity > Decimal("1E15"):
        raise Refused(f"{quantity} is no quantity.")
    if pair.spec.quantity(quantity) != quantity:
        raise Refused(f"The quantity {quantity} is not a multiple of {pair.spec.lot}.")


def check_price(price: Decimal, pair: Pair) -> None:
    """Raise Refused for a price off the pair's tick, or none."""
    if not price.is_finite() or price <= 0 or price > Decimal("1E15"):
        raise Refused(f"{price} is no price.")
    if pair.spec.price(price) != price:
        raise Refused(f"The price {price} is not a multiple of {pair.spec.tick}.")


# --- What comes back -----------------------------------------------------------------------------


def status(word: str, whole: Decimal, filled: Decimal) -> OrderStatus:
    """An order's state. What Kraken closes without having filled it whole is over all the same: its rest was cancelled."""
    found = _STATUSES[word]
    if found is OrderStatus.WORKING and filled > 0:
        return OrderStatus.PARTIAL
    return OrderStatus.CANCELLED if found is OrderStatus.FILLED and filled < whole else found


def report(order_id: str, row: Mapping[str, Any]) -> OrderReport:
    """An order as OpenOrders, ClosedOrders and QueryOrders tell it."""
    whole, filled = number(row["vol"]), number(row["vol_exec"])
    at = moment(row.get("closetm") or row["opentm"])
    state = status(str(row["status"]), whole, filled)
    return OrderReport(
        str(row.get("cl_ord_id") or ""), order_id, state, whole, filled, str(row.get("reason") or ""), at
    )


def open_order(order_id: str, row: Mapping[str, Any], known: Pairs) -> OpenOrder:
    """An order that rests."""
    descr = row["descr"]
    kind = kind_of(str(descr["ordertype"]))
    level = _level(descr.get("price"))
    triggered = kind in (OrderType.STOP, OrderType.TAKE_PROFIT)
    return OpenOrder(
        client_order_id=str(row.get("cl_ord_id") or ""),
        venue_order_id=order_id,
        symbol=known.symbol(str(descr["pair"])),
        side=side(str(descr["type"])),
        type=kind,
        quantity=number(row["vol"]),
        filled=number(row["vol_exec"]),
        price=level if kind is OrderType.LIMIT else None,
        trigger=level if triggered else None,
        reduce_only=False,
        time=moment(row["opentm"]),
    )


def _level(text: Any) -> Decimal | None:
    """A price, None for what Kraken writes where there is none, and for those that follow the market ("+5.0%")."""
    words = str(text or "0")
    if words[0] in "+-#" or words.endswith("%"):
        return None
    found = number(words)
    return found if found > ZERO else None


def fill(trade_id: str, row: Mapping[str, Any], client_order_id: str, known: Pairs) -> FillReport:
    """A fill as TradesHistory tells it; its fee is in quote currency."""
    name = str(row["pair"])
    symbol = known.symbol(name)
    return FillReport(
        venue_fill_id=trade_id,
        client_order_id=client_order_id,
        side=side(str(row["type"])),
        symbol=symbol,
        quantity=number(row["vol"]),
        price=number(row["price"]),
        fee=number(row["fee"]),
        fee_currency=symbol.rpartition("/")[2] or "USD",
        time=moment(row["time"]),
        venue_order_id=str(row["ordertxid"]),
    )


def holdings(said: Mapping[str, Mapping[str, Any]], known: Pairs) -> dict[str, tuple[Decimal, Decimal]]:
    """BalanceEx: by our name of the asset, what is there and what of it is free. What is staked or lent is neither."""
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for key, row in said.items():
        if "." in key:
            continue
        total = number(row["balance"])
        credit = number(row.get("credit", "0")) - number(row.get("credit_used", "0"))
        asset, free = known.asset(key), total + credit - number(row.get("hold_trade", "0"))
        before = found.get(asset, (ZERO, ZERO))
        found[asset] = before[0] + total, before[1] + free
    return found
