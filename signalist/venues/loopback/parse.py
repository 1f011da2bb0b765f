"""The loopback venue's answers as the house's own values. Pure; raises ValueError and its kin for what is none of the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues import errors
from signalist.venues.base import (
    Ack,
    Balance,
    FillReport,
    NetPosition,
    OpenOrder,
    OrderReport,
    OrderRequest,
    PastOrder,
    Reports,
)
from signalist.venues.errors import NoAnswer, VenueError
from signalist.venues.facts import KeyRights

_ERRORS: Mapping[str, type[VenueError]] = {
    error.code: error
    for error in (
        errors.Busy,
        errors.Refused,
        errors.InsufficientFunds,
        errors.UnknownInstrument,
        errors.NoMarket,
        errors.DuplicateOrder,
        errors.BadCredential,
        errors.OrderNotOpen,
        errors.SessionLost,
    )
}


def error(said: Any) -> VenueError:
    """What an answer of 400 and above means. One that the table does not know leaves the request in doubt."""
    if not isinstance(said, Mapping):
        return NoAnswer("The venue refused, and did not say why.")
    found = _ERRORS.get(str(said.get("error")), NoAnswer)
    return found(str(said.get("message", ""))[:300])


def rights(said: Any) -> KeyRights:
    """What a key may do, and where the venue saw it come from."""
    return KeyRights(frozenset(str(word) for word in said["rights"]), str(said["from"]))


def said_of(request: OrderRequest) -> dict[str, Any]:
    """An order as it goes out."""

    def text(number: Decimal | None) -> str | None:
        return None if number is None else format(number, "f")

    return {
        "id": request.client_order_id,
        "symbol": request.symbol,
        "side": request.side.value,
        "type": request.type.value,
        "quantity": text(request.quantity),
        "price": text(request.price),
        "trigger": text(request.trigger),
        "reduce_only": request.reduce_only,
        "leverage": text(request.leverage),
        "tag": request.tag,
        "expires_at": None if request.expires_at is None else request.expires_at.isoformat(),
    }


def ack(said: Sequence[str]) -> Ack:
    """The answer to a placing."""
    client_order_id, venue_order_id = said
    return Ack(client_order_id, venue_order_id)


def order(said: Sequence[str]) -> OrderReport:
    """An order as the venue sees it."""
    key, venue_order_id, status, quantity, filled, reason, time = said
    return OrderReport(
        key,
        venue_order_id,
        OrderStatus(status),
        Decimal(quantity),
        Decimal(filled),
        reason,
        datetime.fromisoformat(time),
    )


def balance(said: Sequence[str]) -> Balance:
    """The account's money."""
    currency, total, available = said
    return Balance(currency, Decimal(total), Decimal(available))


def positions(said: Sequence[Sequence[str]]) -> tuple[NetPosition, ...]:
    """The net positions that are not flat."""
    return tuple(NetPosition(symbol, Decimal(quantity)) for symbol, quantity in said)


def open_orders(said: Sequence[Sequence[Any]]) -> tuple[OpenOrder, ...]:
    """What is open in the account."""
    found = []
    for key, venue_order_id, symbol, side, kind, whole, filled, price, trigger, reduces, time in said:
        quantity, done, at = Decimal(whole), Decimal(filled), datetime.fromisoformat(time)
        levels = _number(price), _number(trigger)
        found.append(
            OpenOrder(
                key, venue_order_id, symbol, Side(side), OrderType(kind), quantity, done, *levels, reduces is True, at
            )
        )
    return tuple(found)


def past_orders(said: Sequence[Sequence[Any]]) -> tuple[PastOrder, ...]:
    """What there was in the account, without the ids that we gave it. A market order has no price of its own."""
    found = []
    for _, venue_order_id, symbol, side, kind, whole, filled, price, trigger, reduces, time, status in said:
        limit = None if OrderType(kind) is OrderType.MARKET else _number(price)
        found.append(
            PastOrder(
                venue_order_id,
                symbol,
                Side(side),
                OrderType(kind),
                OrderStatus(status),
                Decimal(whole),
                Decimal(filled),
                limit,
                _number(trigger),
                reduces is True,
                datetime.fromisoformat(time),
            )
        )
    return tuple(found)


def _number(text: Any) -> Decimal | None:
    return None if text is None else Decimal(str(text))


def reports(rows: Sequence[Sequence[str]], money: Balance, cursor: int) -> Reports:
    """Tape rows in the venue's order: each order as it was last, and every fill. `money` is the balance after them."""
    orders: dict[str, OrderReport] = {}
    fills = []
    for row in rows:
        key, venue_order_id, symbol, side, status, whole, filled, reason, time, fill_id, quantity, price, fee, *_ = row
        at = datetime.fromisoformat(time)
        orders[key] = OrderReport(key, venue_order_id, OrderStatus(status), Decimal(whole), Decimal(filled), reason, at)
        if fill_id:
            part, paid, cost = Decimal(quantity), Decimal(price), Decimal(fee)
            fills.append(
                FillReport(fill_id, key, Side(side), symbol, part, paid, cost, money.currency, at, venue_order_id)
            )
    return Reports(tuple(orders.values()), tuple(fills), money, str(cursor))


def balance_after(row: Sequence[str], currency: str) -> Balance:
    """The money after a tape row."""
    return Balance(currency, Decimal(row[-2]), Decimal(row[-1]))
