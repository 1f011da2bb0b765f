"""Orders in the words of Kraken's private stream (WebSocket v2), made of those of REST; and its answers in the shape of REST's. Pure.

The stream has other names for the same (`order_qty` for `volume`), the trigger of a stop in an object of its own, the fee's currency as a
word, and numbers without quotes. It wants those to be fractions ("Limit_price field must be a number_float"), so that each is written
with a point.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from signalist.domain.money import plain

METHODS: Mapping[str, str] = {"AddOrder": "add_order", "AmendOrder": "amend_order", "CancelOrder": "cancel_order"}
"""What can be asked over the stream, by its name at REST."""
ADD_MANY, CANCEL_MANY = "batch_add", "batch_cancel"
FEWEST, MOST_ADDED, MOST_CANCELLED = 2, 15, 50
"""Of orders in one batch."""
_TRIGGERED = ("stop-loss", "take-profit")


def params(method: str, fields: Mapping[str, object], symbol: str) -> dict[str, object]:
    """The parameters of a REST method's twin, but for the token. Raises ValueError for a method that has none here."""
    if method == "AddOrder":
        return {"symbol": symbol, **order(fields)}
    if method == "AmendOrder":
        return dict(fields)
    if method == "CancelOrder":
        names = {"txid": "order_id", "cl_ord_id": "cl_ord_id"}
        return {names[name]: [value] for name, value in fields.items()}
    raise ValueError(f"{method} is not asked over the stream.")


def order(fields: Mapping[str, object]) -> dict[str, object]:
    """One order, without its symbol, which a batch says once."""
    kind = fields["ordertype"]
    said: dict[str, object] = {"order_type": kind, "side": fields["type"], "order_qty": fields["volume"]}
    if "price" in fields and kind in _TRIGGERED:
        said["triggers"] = {"reference": "last", "price": fields["price"], "price_type": "static"}
    elif "price" in fields:
        said["limit_price"] = fields["price"]
    if fields.get("oflags") == "fciq":
        said["fee_preference"] = "quote"
    return said | {name: fields[name] for name in ("cl_ord_id", "deadline") if name in fields}


def result(method: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What REST would have answered. Raises ValueError and its kin where the answer names nothing."""
    found = said["result"]
    if method == "AddOrder":
        return {"txid": [str(found["order_id"])]}
    if method == "AmendOrder":
        return {"amend_id": str(found["amend_id"])}
    if not (found.get("order_id") or found.get("cl_ord_id")):
        raise ValueError("The answer to a cancel names no order.")
    return {"count": 1}


def written(value: object) -> str:
    """A value as JSON, every Decimal as a number with a point and no needless zeros but one."""
    if isinstance(value, Decimal):
        text = plain(value)
        return text if "." in text else f"{text}.0"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(written(inner) for inner in value) + "]"
    return json.dumps(value)


def message(method: str, number: int, said: Mapping[str, object], token: str) -> str:
    """A request as it is sent."""
    return written({"method": method, "params": {**said, "token": token}, "req_id": number})
