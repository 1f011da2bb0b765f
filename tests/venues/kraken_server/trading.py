"""The server's trading methods of WebSocket v2: tokens, fields and their types as documented, carried out by the same books as REST's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.venues.kraken_server.faults import Fault
from tests.venues.kraken_server.house import Holder, Refusal, stamp

if TYPE_CHECKING:
    from tests.venues.kraken_server.server import Server
    from tests.venues.kraken_server.streams import Connection

TOKEN_LASTS = timedelta(seconds=900)
TYPES: Mapping[str, str] = {
    "order_type": "string",
    "side": "string",
    "symbol": "string",
    "order_qty": "number_float",
    "limit_price": "number_float",
    "trigger_price": "number_float",
    "triggers": "object",
    "cl_ord_id": "string",
    "fee_preference": "string",
    "time_in_force": "string",
    "deadline": "string",
    "validate": "boolean",
    "order_id": "string",
    "token": "string",
    "orders": "array",
    # Documented, and not served here.
    "order_userref": "number_integer",
    "limit_price_type": "string",
    "trigger_price_type": "string",
    "post_only": "boolean",
    "reduce_only": "boolean",
    "margin": "boolean",
    "effective_time": "string",
    "expire_time": "string",
    "conditional": "object",
    "display_qty": "number_float",
    "cash_order_qty": "number_float",
    "stp_type": "string",
    "sender_sub_id": "string",
}
_PYTHON: Mapping[str, type] = {
    "string": str,
    "number_float": Decimal,
    "number_integer": int,
    "object": dict,
    "boolean": bool,
    "array": list,
}
_SERVED = frozenset(
    "order_type side order_qty symbol limit_price triggers cl_ord_id fee_preference deadline validate".split()
)
_ORDER = _SERVED | frozenset(
    "order_userref limit_price_type time_in_force post_only reduce_only margin effective_time expire_time conditional display_qty"
    " cash_order_qty stp_type sender_sub_id".split()
)
TAKES: Mapping[str, frozenset[str]] = {
    "add_order": _ORDER,
    "amend_order": frozenset(
        "order_id cl_ord_id order_qty limit_price trigger_price limit_price_type trigger_price_type display_qty post_only deadline"
        " symbol".split()
    ),
    "cancel_order": frozenset({"order_id", "cl_ord_id"}),
    "batch_add": frozenset("symbol deadline validate orders".split()),
    "batch_cancel": frozenset({"orders", "cl_ord_id"}),
}
LISTS = frozenset({("cancel_order", "order_id"), ("cancel_order", "cl_ord_id"), ("batch_cancel", "cl_ord_id")})
RIGHTS = {name: "cancel" if "cancel" in name else "create" for name in TAKES}
FAULTS = ("lost", "slow", "late", "error", "drop", "unanswered", "empty", "malformed", "ack_first")


class Trading:
    """Requests that trade, of all connections."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._later: set[asyncio.Task[None]] = set()
        self._methods: Mapping[str, Callable[[Holder, dict[str, Any]], dict[str, Any]]] = {
            "add_order": self._add,
            "amend_order": self._amend,
            "cancel_order": self._cancel,
            "batch_add": self._batch_add,
            "batch_cancel": self._batch_cancel,
        }

    def __contains__(self, method: str) -> bool:
        return method in self._methods

    def asked(self, connection: Connection, said: dict[str, Any]) -> None:
        """Answer a request, or do with it what a fault says."""
        method, server = said["method"], self._server
        server.asked.append(method)
        fault = server.faults.play(method, FAULTS)
        kind = fault.kind if fault is not None else ""
        if kind == "lost":
            connection.abort()
        elif fault is not None and kind == "slow":
            self._after(fault.seconds, lambda: connection.say_line(json.dumps(self._answer(said, None))))
        elif kind == "ack_first":
            with server.streams.holding_back():
                connection.say(self._answer(said, fault))
        else:
            answer = self._answer(said, fault)
            self._say(connection, answer, fault)

    def _say(self, connection: Connection, answer: dict[str, Any], fault: Fault | None) -> None:
        kind = fault.kind if fault is not None else ""
        if kind == "drop":
            connection.abort()
        elif kind == "empty":
            connection.say({**{name: answer[name] for name in ("method", "req_id", "success")}, "result": {}})
        elif kind == "malformed":
            connection.say_line(json.dumps(answer)[:20])
        elif fault is not None and kind == "late":
            self._after(fault.seconds, lambda: connection.say(answer))
        elif kind != "unanswered":
            connection.say(answer)

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            do()

        task = asyncio.get_running_loop().create_task(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def end(self) -> None:
        """Nothing comes any more."""
        for task in self._later:
            task.cancel()

    # --- One request -------------------------------------------------------------------------------

    def _answer(self, said: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        """Carry it out; its answer."""
        method, came = said["method"], stamp(self._server.now())
        try:
            if fault is not None and fault.kind == "error":
                raise Refusal(fault.text)
            if not isinstance(said.get("req_id", 0), int):
                raise Refusal("Req_id field must be a number_unsigned")
            params = checked(method, dict(said.get("params", {})))
            holder = self.holder(str(params.pop("token")))
            if RIGHTS[method] not in holder.rights:
                raise Refusal("EGeneral:Permission denied")
            found = {**self._methods[method](holder, params), "success": True}
        except Refusal as refusal:
            self._server.refused.append(str(refusal))
            found = {"error": str(refusal), "success": False}
        times = {"time_in": came, "time_out": stamp(self._server.now())}
        return {"method": method, "req_id": said.get("req_id", 0), **found, **times}

    def holder(self, token: str) -> Holder:
        """Whose token this is. One that is old lives on for as long as a subscription that was made with it does."""
        server = self._server
        key, made = server.tokens.get(token, ("", server.now()))
        is_kept = any(one.token == token for one in server.streams.all)
        if not key or (server.now() - made > TOKEN_LASTS and not is_kept):
            raise Refusal("Token(s) not found")
        return server.house.holders[key]

    def _add(self, holder: Holder, params: dict[str, Any]) -> dict[str, Any]:
        return {"result": self._added(holder, params, 1.0)}

    def _added(self, holder: Holder, params: dict[str, Any], cost: float) -> dict[str, Any]:
        said = self._server.house.add(holder, _as_rest(params), cost)
        if "txid" not in said:
            return {}
        name = params.get("cl_ord_id")
        return {"order_id": said["txid"][0], **({"cl_ord_id": name} if name else {})}

    def _amend(self, holder: Holder, params: dict[str, Any]) -> dict[str, Any]:
        if "limit_price" in params:
            raise Refusal("EGeneral:Invalid arguments:limit_price")
        names = {"order_id": "txid"}
        said = self._server.house.amend(holder, {names.get(name, name): str(value) for name, value in params.items()})
        named = {name: params[name] for name in ("order_id", "cl_ord_id") if name in params}
        return {"result": {"amend_id": said["amend_id"], **named}}

    def _cancel(self, holder: Holder, params: dict[str, Any]) -> dict[str, Any]:
        """One order: the real one answers once for each."""
        (name, values) = next(iter(params.items()))
        if len(params) != 1 or len(values) != 1:
            raise Refusal("EGeneral:Invalid arguments:order_id")
        if not self._server.faults.play("cancel_order", ("pending",)):
            self._server.house.cancel(holder, {"txid" if name == "order_id" else name: values[0]})
        return {"result": {name: values[0]}}

    def _batch_add(self, holder: Holder, params: dict[str, Any]) -> dict[str, Any]:
        orders, house = params["orders"], self._server.house
        shared = {name: params[name] for name in ("symbol", "deadline") if name in params}
        if not 2 <= len(orders) <= 15:
            raise Refusal("EGeneral:Invalid arguments:orders")
        whole = [{**checked("add_order", {**shared, **order}, "in batch"), **shared} for order in orders]
        for order in whole:
            house.validate(_as_rest(order))
        house.count(holder, house.pairs.pair(str(params["symbol"])).symbol, len(whole) / 2)
        found: list[dict[str, Any]] = []
        for order in whole:
            try:
                found.append(self._added(holder, order, 0.0))
            except Refusal as refusal:
                self._server.refused.append(str(refusal))
                found.append({"error": str(refusal), "cl_ord_id": order.get("cl_ord_id", "")})
        return {"result": found}

    def _batch_cancel(self, holder: Holder, params: dict[str, Any]) -> dict[str, Any]:
        named = [("txid", str(one)) for one in params.get("orders", [])]
        named += [("cl_ord_id", str(one)) for one in params.get("cl_ord_id", [])]
        if not 2 <= len(named) <= 50:
            raise Refusal("EGeneral:Invalid arguments:orders")
        cancelled = 0
        for name, value in named:
            try:
                self._server.house.cancel(holder, {name: value})
                cancelled += 1
            except Refusal as refusal:
                self._server.refused.append(str(refusal))
        return {"orders_cancelled": cancelled}


def checked(method: str, params: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Parameters with nothing in them that is not documented, each of its type. Within a batch (`where`) an order has no token."""
    for name, value in params.items():
        if name not in TAKES[method] and name != "token":
            raise Refusal(f"Unsupported field: '{name}' for the given msg type: {method}")
        kind = "array" if (method, name) in LISTS else TYPES[name]
        if not isinstance(value, _PYTHON[kind]):
            raise Refusal(f"{name.capitalize()} field must be a {kind}")
    if "token" not in params and not where:
        raise Refusal("Token(s) not found")
    needs = {"add_order": ("order_type", "side", "symbol", "order_qty"), "amend_order": ("order_qty",)}
    for name in needs.get(method, ("symbol", "orders") if method == "batch_add" else ()):
        if name not in params:
            raise Refusal(f"EGeneral:Invalid arguments:{name}")
    return params


def _as_rest(params: Mapping[str, Any]) -> dict[str, str]:
    """An order's fields by their names at REST. Raises Refusal for what is put where it does not belong, or is not served here."""
    for name in params.keys() - _SERVED:
        if params[name] not in (False, "gtc"):
            raise Refusal(f"EGeneral:Invalid arguments:{name}")
    kind, triggers = str(params["order_type"]), params.get("triggers")
    if (triggers is not None) != (kind in ("stop-loss", "take-profit")):
        raise Refusal("EGeneral:Invalid arguments:triggers")
    if ("limit_price" in params) != (kind == "limit"):
        raise Refusal("EGeneral:Invalid arguments:limit_price")
    price = params.get("limit_price")
    if triggers is not None:
        if (
            triggers.get("reference", "last") not in ("last", "index")
            or triggers.get("price_type", "static") != "static"
        ):
            raise Refusal("EGeneral:Invalid arguments:triggers")
        price = triggers.get("price")
        if not isinstance(price, Decimal):
            raise Refusal("Price field must be a number_float")
    said = {"pair": str(params["symbol"]), "type": str(params["side"]), "ordertype": kind}
    said |= {"volume": str(params["order_qty"])} | ({} if price is None else {"price": str(price)})
    said |= {"validate": "true"} if params.get("validate") else {}
    return said | {name: str(params[name]) for name in ("cl_ord_id", "deadline") if name in params} | {"over": "stream"}
