"""One account at Kraken, opened: orders placed, cancelled, amended and looked up, and what the account tells of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from signalist.clock import monotonic
from signalist.domain.orders import OrderStatus, OrderType
from signalist.venues.base import (
    Ack,
    Balance,
    NetPosition,
    OpenOrder,
    OrderReport,
    OrderRequest,
    Reports,
)
from signalist.venues.errors import Busy, DuplicateOrder, NoAnswer, OrderNotOpen, Refused, VenueError
from signalist.venues.facts import AccountFacts, FeeRates, KeyRights
from signalist.venues.kraken import account, many, orders, protocol
from signalist.venues.kraken.desk import Desk
from signalist.venues.kraken.many import Ready
from signalist.venues.kraken.symbols import Pair, Pairs
from signalist.venues.kraken.tape import Known
from signalist.venues.transport import fence
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.ledger import Draw
from signalist.venues.transport.sockets import Link, NotUp

T = TypeVar("T")
PENDING = 0.3
"""Seconds to the second look at an order whose cancel was taken."""


class KrakenSession:
    """See the module. `within`: seconds that the venue has for an answer."""

    def __init__(self, desk: Desk, within: float) -> None:
        self._client, self._within = desk.client, within
        self._desk, self._tape, self._signer = desk, desk.tape, desk.signer
        self._wakes: list[Callable[[], None]] = []

    # --- Orders ----------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Ack:
        """See the protocol. Kraken refuses a name of ours only while an order under it is open; those that are over are refused here."""
        ready = await self.ready(request)
        name = request.client_order_id
        self._desk.placing.add(name)
        self._desk.touched()
        try:
            said = await self._order("AddOrder", ready.fields, request.symbol, ready.priority, 1.0, ready.ends)
        except (Busy, Refused):
            self._desk.placing.discard(name)  # it was not taken
            raise
        except asyncio.CancelledError:
            if not fence.may_have_left():
                self._desk.placing.discard(name)  # its turn did not come in time: its owner sends it again
            raise
        try:
            order_id = str(said["txid"][0])
        except (KeyError, IndexError, TypeError):
            raise NoAnswer("The venue's answer to an order names none.") from None
        return self.taken(request, order_id)

    async def place_many(self, requests: Sequence[OrderRequest]) -> tuple[Ack | VenueError, ...]:
        return await many.place(self, requests)

    async def ready(self, request: OrderRequest) -> Ready:
        """An order, looked at before the venue is. Raises Refused, and NotSent where its time is over."""
        pair = (await self._client.pairs()).pair(request.symbol)
        orders.check(request, pair)
        name = request.client_order_id
        if name in self._desk.placing or self._tape.order(name) is not None:
            raise DuplicateOrder(f"There already is an order {name}.")
        fields, ends = self._fields(request, pair)
        is_exit = request.reduce_only or request.type in (OrderType.STOP, OrderType.TAKE_PROFIT)
        return Ready(request, fields, ends, Priority.PROTECTION if is_exit else Priority.ENTRY)

    def taken(self, request: OrderRequest, order_id: str) -> Ack:
        """The venue has taken an order under this id."""
        name = request.client_order_id
        self._tape.placed(order_id, name, request.symbol, request.side, request.quantity, self._now())
        self._desk.placing.discard(name)
        return Ack(name, order_id)

    async def cancel(self, client_order_id: str) -> OrderReport:
        """See the protocol. Only what the venue itself shows as over is answered: who reads it takes the order for gone."""
        known = self._tape.order(client_order_id)
        await self._take_back({"cl_ord_id": client_order_id}, known)
        return await self.over(client_order_id)

    async def cancel_many(self, client_order_ids: Sequence[str]) -> tuple[OrderReport | VenueError, ...]:
        return await many.cancel(self, client_order_ids)

    async def over(self, client_order_id: str) -> OrderReport:
        """An order whose cancel the venue has taken, as it shows it."""
        report = await self._after_cancel(client_order_id)
        if report is None:
            raise NoAnswer("The order was cancelled, and is not found.")
        if report.status.is_open:
            raise NoAnswer("The venue has taken the cancel, and the order still stands.")
        if report.status is OrderStatus.FILLED:
            raise OrderNotOpen("The order was filled before it could be cancelled.")
        return report

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        """See the protocol. A quantity that is filled already would cancel the rest at Kraken, so the order is looked at first."""
        before = self._desk.told(client_order_id) or await self.look_up(client_order_id)
        if before is None or not before.status.is_open:
            raise OrderNotOpen("The order is not open any more.")
        known = self._tape.orders[before.venue_order_id]
        pair = (await self._client.pairs()).pair(known.symbol)
        orders.check_quantity(quantity, pair)
        if quantity <= before.filled:
            raise Refused(f"The order has already filled {before.filled}; it cannot be amended to {quantity}.")
        fields: dict[str, object] = {"cl_ord_id": client_order_id, "order_qty": quantity}
        if trigger is not None:
            orders.check_price(trigger, pair)
            fields["trigger_price"] = trigger
        cost = protocol.order_cost("AmendOrder", self._age(known))
        self._desk.touched()
        await self._order("AmendOrder", fields, known.symbol, Priority.PROTECTION, cost)
        report = await self._desk.shows(client_order_id, lambda now: now.status.is_final or now.quantity == quantity)
        report = report or await self.look_up(client_order_id)
        if report is None:
            raise NoAnswer("The order was amended, and is not found.")
        return report

    async def _after_cancel(self, client_order_id: str) -> OrderReport | None:
        """What became of it. Kraken may take a cancel and carry it out later ("pending"); until it has, the order may fill."""
        report = await self._desk.shows(client_order_id, lambda now: now.status.is_final)
        report = report or await self.look_up(client_order_id)
        if report is None or report.status.is_open:
            await asyncio.sleep(PENDING)
            report = await self.look_up(client_order_id) or report
        return report

    async def take_down(self, venue_order_id: str) -> None:
        await self._take_back({"txid": venue_order_id}, self._tape.orders.get(venue_order_id))

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        """See the protocol. Open orders are asked for before those that are over, so that one that closes meanwhile is in one of them."""
        if not client_order_id or len(client_order_id) > orders.LONGEST_NAME:
            return None
        known, pairs = self._tape.order(client_order_id), await self._client.pairs()
        if known is not None:
            order_id = known.report.venue_order_id
            row = (await self._ask("QueryOrders", {"txid": order_id})).get(order_id)
            return None if row is None else self._learnt(order_id, row, pairs)
        for method, name in (("OpenOrders", "open"), ("ClosedOrders", "closed")):
            found = (await self._ask(method, {"cl_ord_id": client_order_id}))[name]
            for order_id, row in found.items():
                if row.get("cl_ord_id") == client_order_id:
                    return self._learnt(order_id, row, pairs)
        return None

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        pairs = await self._client.pairs()
        rows = (await self._ask("OpenOrders"))["open"]
        return _read(lambda: tuple(orders.open_order(order_id, row, pairs) for order_id, row in rows.items()))

    # --- The account -----------------------------------------------------------------------------

    @property
    def stream_problem(self) -> str:
        """See the protocol."""
        return (self._desk.why or "it was lost") if self._desk.state is Link.FAILED else ""

    @property
    def arrears(self) -> str:
        """See `HasArrears`."""
        return self._desk.arrears.problem(self._now())

    async def reports(self, after: str) -> Reports:
        return await self._desk.reports(after, self._within)

    async def balance(self) -> Balance:
        return self._desk.money_of(await self._desk.holdings(self._within))

    async def positions(self) -> tuple[NetPosition, ...]:
        """What is held, however it came there."""
        pairs = await self._client.pairs()
        return account.held_of(await self._desk.holdings(self._within), pairs, self._desk.currency)

    async def rights(self) -> KeyRights:
        return await account.rights_of(self._desk, self._within)

    async def facts(self) -> AccountFacts:
        return await account.facts_of(self._desk)

    async def fees(self, symbols: Collection[str]) -> Mapping[str, FeeRates]:
        return await account.fees_of(self._desk, symbols, self._within)

    def listen(self, wake: Callable[[], None]) -> None:
        self._desk.listen(wake)
        self._wakes.append(wake)

    def returns(self, say: Callable[[], None]) -> None:
        self._desk.returns(say)

    async def close(self) -> None:
        wakes, self._wakes = self._wakes, []
        await self._desk.leave(wakes)

    # --- Within ----------------------------------------------------------------------------------

    def _fields(self, request: OrderRequest, pair: Pair) -> tuple[dict[str, object], float | None]:
        """What is sent, its deadline by Kraken's clock; and the monotonic moment after which no byte of it is written."""
        if request.expires_at is None:
            return orders.fields(request, pair), None
        left = (request.expires_at - self._client.clock.now()).total_seconds()
        there = replace(request, expires_at=self._client.venue_time(request.expires_at))
        return orders.fields(there, pair, self._now()), monotonic() + left

    def _learnt(self, order_id: str, row: Any, pairs: Pairs) -> OrderReport:
        return _read(lambda: self._desk.learn(order_id, row, pairs))

    async def _take_back(self, fields: Mapping[str, object], known: Known | None) -> None:
        symbol = known.symbol if known is not None else ""
        self._desk.touched()
        await self._order("CancelOrder", fields, symbol, Priority.PROTECTION, self.cancel_cost(known))

    def cancel_cost(self, known: Known | None) -> float:
        """What a cancel of this order adds to its pair's counter."""
        return protocol.order_cost("CancelOrder", self._age(known))

    async def _order(
        self,
        method: str,
        fields: Mapping[str, object],
        symbol: str,
        priority: Priority,
        cost: float,
        deadline: float | None = None,
    ) -> Any:
        """A call that counts in its pair's counter: over the stream where that is up, else over HTTP, and never both ways."""
        draws = self._draws({symbol: cost})
        if self._desk.trading.is_open():
            try:
                return await self._desk.trading.order(
                    method, fields, symbol, priority=priority, within=self._within, deadline=deadline, draws=draws
                )
            except NotUp:
                pass  # nothing of it was written: the other way is free
        return await self._client.private(
            self._signer, method, fields, priority=priority, within=self._within, deadline=deadline, draws=draws
        )

    async def ask(
        self,
        method: str,
        params: Mapping[str, object],
        costs: Mapping[str, float],
        priority: Priority,
        deadline: float | None,
    ) -> Mapping[str, Any]:
        """A request of the stream's own, which counts in these pairs' counters."""
        draws, trading = self._draws(costs), self._desk.trading
        return await trading.ask(method, params, priority=priority, within=self._within, deadline=deadline, draws=draws)

    def _draws(self, costs: Mapping[str, float]) -> tuple[Draw, ...]:
        """What is taken out of the counters of pairs, by symbol."""
        for symbol in costs:
            bucket = self._client.orders_bucket(self._signer, symbol)
            self._client.ledger.limit(bucket, protocol.carefully(self._client.tier_of(self._signer).orders))
        return tuple(
            Draw(self._client.orders_bucket(self._signer, symbol), cost) for symbol, cost in costs.items() if cost
        )

    async def _ask(self, method: str, fields: Mapping[str, object] | None = None) -> Any:
        return await self._desk.ask(method, self._within, fields)

    def _now(self) -> datetime:
        return self._client.venue_time(self._client.clock.now())

    def _age(self, known: Known | None) -> float | None:
        at = None if known is None else known.taken_at
        return None if at is None else (self._now() - at).total_seconds()


def _read(parsed: Callable[[], T]) -> T:
    """An answer, read. Raises NoAnswer for one that is none of the protocol."""
    try:
        return parsed()
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer(f"The venue's answer was none of its protocol ({type(error).__name__}).") from error
