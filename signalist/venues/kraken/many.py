"""Several orders in one request of Kraken's private stream: 2 to 15 of one pair are placed, 2 to 50 are cancelled.

The venue looks at a batch as a whole first: where one order of it is malformed, all are refused (Kraken, "Batch Add"). What it takes is
answered order by order. Where the stream is not up, and where an order is alone, each goes by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from signalist.venues.base import Ack, OrderReport, OrderRequest
from signalist.venues.errors import Busy, Next, NoAnswer, VenueError
from signalist.venues.kraken import protocol, stream_orders
from signalist.venues.kraken.stream_orders import FEWEST, MOST_ADDED, MOST_CANCELLED
from signalist.venues.transport import fence
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.sockets import NotUp

if TYPE_CHECKING:
    from signalist.venues.kraken.session import KrakenSession

T = TypeVar("T")
PER_ORDER = 0.5
"""What each order of a batch that is placed adds to its pair's counter."""


class BatchRefused(Busy):
    """The venue refused a batch as a whole, for one order in it or another: none was placed, and each may be sent by itself."""

    code = "batch_refused"


@dataclass(frozen=True, slots=True)
class Ready:
    """An order that was looked at here. `fields` are those of REST; `ends` is the monotonic moment after which it may not leave."""

    request: OrderRequest
    fields: Mapping[str, object]
    ends: float | None
    priority: Priority

    @property
    def kind(self) -> tuple[Priority, object]:
        """What orders of one batch have in common: how urgent they are, and their deadline."""
        return self.priority, self.fields.get("deadline")


async def place(session: KrakenSession, requests: Sequence[OrderRequest]) -> tuple[Ack | VenueError, ...]:
    """See `PlacesMany`. Those of one urgency and deadline go together."""
    if len({request.symbol for request in requests}) > 1:
        raise ValueError("A batch is of one instrument.")
    told: dict[int, Ack | VenueError] = {}
    groups: dict[object, list[tuple[int, Ready]]] = {}
    placing, unsent = session._desk.placing, set[str]()
    try:
        for number, request in enumerate(requests):
            try:
                ready = await session.ready(request)
            except VenueError as error:
                told[number] = error
                continue
            # From here on its name is taken: what is sent with the first of them may be under way for long.
            placing.add(request.client_order_id)
            unsent.add(request.client_order_id)
            groups.setdefault(ready.kind, []).append((number, ready))
        # What protects goes first, as everywhere.
        for group in sorted(groups.values(), key=lambda rows: rows[0][1].priority):
            for start in range(0, len(group), MOST_ADDED):
                part = group[start : start + MOST_ADDED]
                unsent -= {ready.request.client_order_id for _, ready in part}
                found = await _placed(session, [ready for _, ready in part])
                told |= {number: one for (number, _), one in zip(part, found, strict=True)}
    finally:
        placing -= unsent
    return tuple(told[number] for number in range(len(requests)))


async def _placed(session: KrakenSession, orders: Sequence[Ready]) -> Sequence[Ack | VenueError]:
    """One batch, or each by itself. Their names are taken."""
    desk, names = session._desk, {one.request.client_order_id for one in orders}
    if len(orders) < FEWEST or not desk.trading.is_open():
        desk.placing -= names
        return await _each([session.place(one.request) for one in orders])
    desk.touched()
    try:
        said = await _asked(session, orders)
    except NotUp:
        desk.placing -= names
        return await _each([session.place(one.request) for one in orders])
    except VenueError as error:
        if isinstance(error, Busy) or error.next is Next.FINAL:
            desk.placing -= names  # none was taken
        if error.next is Next.FINAL:
            error = BatchRefused(f"The venue refused the batch: {error}")
        return [error] * len(orders)
    except asyncio.CancelledError:
        if not fence.may_have_left():
            desk.placing -= names
        raise
    return [_told(session, one.request, answer) for one, answer in zip(orders, matched(orders, said), strict=True)]


async def _asked(session: KrakenSession, orders: Sequence[Ready]) -> Any:
    first = orders[0]
    params: dict[str, object] = {
        "symbol": first.request.symbol,
        "orders": [
            {name: value for name, value in stream_orders.order(one.fields).items() if name != "deadline"}
            for one in orders
        ],
    }
    if "deadline" in first.fields:
        params["deadline"] = first.fields["deadline"]
    costs = {first.request.symbol: PER_ORDER * len(orders)}
    ends = min((one.ends for one in orders if one.ends is not None), default=None)
    said = await session.ask(stream_orders.ADD_MANY, params, costs, first.priority, ends)
    return said.get("result")


def matched(orders: Sequence[Ready], said: Any) -> Sequence[Mapping[str, Any]]:
    """The answer to each: by our name where it says so, else by its place; {} where there is none."""
    rows = [row if isinstance(row, Mapping) else {} for row in said] if isinstance(said, list) else []
    by_name = {str(row["cl_ord_id"]): row for row in rows if row.get("cl_ord_id")}
    in_place = rows if len(rows) == len(orders) else [{}] * len(orders)
    return [
        by_name.get(one.request.client_order_id) or (row if not row.get("cl_ord_id") else {})
        for one, row in zip(orders, in_place, strict=True)
    ]


def _told(session: KrakenSession, request: OrderRequest, row: Mapping[str, Any]) -> Ack | VenueError:
    if row.get("order_id"):
        return session.taken(request, str(row["order_id"]))
    if isinstance(text := row.get("error"), str):
        error = protocol.error(text)
        if isinstance(error, Busy) or error.next is Next.FINAL:
            session._desk.placing.discard(request.client_order_id)
        return error
    return NoAnswer("The venue's answer to a batch does not name this order.")


async def cancel(session: KrakenSession, names: Sequence[str]) -> tuple[OrderReport | VenueError, ...]:
    """See `PlacesMany`. The venue says how many it has cancelled, and not which: each is looked at."""
    found: list[OrderReport | VenueError] = []
    for start in range(0, len(names), MOST_CANCELLED):
        found += await _cancelled(session, names[start : start + MOST_CANCELLED])
    return tuple(found)


async def _cancelled(session: KrakenSession, names: Sequence[str]) -> Sequence[OrderReport | VenueError]:
    if len(names) < FEWEST or not session._desk.trading.is_open():
        return await _each([session.cancel(name) for name in names])
    costs: dict[str, float] = {}
    for known in map(session._desk.tape.order, names):
        symbol = known.symbol if known is not None else ""
        costs[symbol] = costs.get(symbol, 0.0) + session.cancel_cost(known)
    session._desk.touched()
    try:
        await session.ask(stream_orders.CANCEL_MANY, {"cl_ord_id": list(names)}, costs, Priority.PROTECTION, None)
    except NotUp:
        return await _each([session.cancel(name) for name in names])
    except VenueError as error:
        return [error] * len(names)
    return await _each([session.over(name) for name in names])


async def _each(asked: Sequence[Awaitable[T]]) -> Sequence[T | VenueError]:
    """What became of each. Raises what is no VenueError."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, VenueError):
            raise one
    return [one for one in found if isinstance(one, VenueError) or not isinstance(one, BaseException)]
