"""Kraken's spot market behind the protocol that every venue speaks.

Stops and targets rest at Kraken as `stop-loss` and `take-profit`; each locks what it would sell, so that one of them rests and the other is
watched. What is sold comes out of stock: a spot account cannot go short, whatever an order says. Kraken's switch that cancels everything
when we fall silent is not used: it would take the stops down with the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from signalist.clock import monotonic
from signalist.domain.orders import OrderStatus, OrderType
from signalist.venues.base import (
    Ack,
    Balance,
    Capabilities,
    KeyRights,
    NetPosition,
    OpenOrder,
    OrderReport,
    OrderRequest,
    Reports,
    Session,
)
from signalist.venues.errors import BadCredential, Busy, DuplicateOrder, NoAnswer, OrderNotOpen, Refused, VenueError
from signalist.venues.kraken import many, orders, protocol, stream_orders
from signalist.venues.kraken.client import Client, Signer
from signalist.venues.kraken.desk import Desk
from signalist.venues.kraken.many import Ready
from signalist.venues.kraken.parse import KRAKEN
from signalist.venues.kraken.protocol import NoRight
from signalist.venues.kraken.symbols import Pair, Pairs
from signalist.venues.kraken.tape import Known
from signalist.venues.transport import fence
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.ledger import Draw
from signalist.venues.transport.sockets import LinkTerms, NotUp

CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    order_identity="client_id",
    amend=True,
    nets=True,
    reduce_only=False,
    looks=3,
    look_interval=1.0,
    answer_within=10.0,
    reserves_exits=True,
    batch=stream_orders.MOST_ADDED,
)
T = TypeVar("T")
JUST_NOW = 30.0
"""Seconds for which an answer shows that the key may ask so."""
PENDING = 0.3
"""Seconds to the second look at an order whose cancel was taken."""
NOWHERE = "O00000-00000-000000"
"""An order id that is nobody's."""


@dataclass(frozen=True, slots=True)
class Key:
    """What opens an account: the key's two parts, and the currency that it is counted in."""

    key: str
    secret: str
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not (2 < len(self.currency) < 9 and self.currency.isalnum()):
            raise BadCredential("The currency of the account is its short name, USD or EUR for example.")

    def __repr__(self) -> str:
        return f"Key({self.key[:4]}…)"


class KrakenVenue:
    """Opens accounts at Kraken. `key_of` tells an account's key; `over_stream`: orders go over the private stream where it is joined."""

    code = KRAKEN

    def __init__(
        self,
        client: Client,
        key_of: Callable[[str], Key],
        *,
        stream_at: str = protocol.PRIVATE_STREAM,
        terms: LinkTerms | None = None,
        capabilities: Capabilities = CAPABILITIES,
        over_stream: bool = True,
    ) -> None:
        self.client, self.capabilities, self._over_stream = client, capabilities, over_stream
        self._key_of, self._stream_at, self._terms = key_of, stream_at, terms or LinkTerms()
        self._desks: dict[str, Desk] = {}

    def open(self, account_ref: str) -> Session:
        """A session. Raises BadCredential where what is stored is no key."""
        key = self._key_of(account_ref)
        signer = Signer(key.key, protocol.key_bytes(key.secret))
        desk = self._desks.get(account_ref)
        if desk is None or desk.signer != signer:
            self.client.opened(signer)
            desk = self._desks[account_ref] = Desk(
                self.client, signer, key.currency.upper(), self._stream_at, self._terms
            )
            desk.trading.wanted = self._over_stream
        return KrakenSession(self, desk)

    async def close(self) -> None:
        """Close all streams and connections."""
        for desk in self._desks.values():
            await desk.close()
        await self.client.close()


class KrakenSession:
    """One account at Kraken."""

    def __init__(self, venue: KrakenVenue, desk: Desk) -> None:
        self._client, self._within = venue.client, venue.capabilities.answer_within
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

    async def reports(self, after: str) -> Reports:
        return await self._desk.reports(after, self._within)

    async def balance(self) -> Balance:
        return self._desk.money_of(await self._desk.holdings(self._within))

    async def positions(self) -> tuple[NetPosition, ...]:
        """What is held of assets that are traded against the account's currency; how it came there is not asked."""
        pairs, currency = await self._client.pairs(), self._desk.currency
        held = await self._desk.holdings(self._within)
        traded = {pair.spec.base: pair.symbol for pair in pairs.all if pair.spec.quote == currency}
        return tuple(
            NetPosition(traded[asset], total) for asset, (total, _) in held.items() if total and asset in traded
        )

    async def rights(self) -> KeyRights:
        """What the key may do, found out by trying: Kraken has no list of it. Nothing is placed, cancelled or withdrawn."""
        reads = [await self._may("BalanceEx"), await self._may("OpenOrders"), await self._may("ClosedOrders")]
        reads.append(await self._may("GetWebSocketsToken"))
        trades = [
            await self._may("AddOrder", await self._harmless()),
            await self._may("CancelOrder", {"txid": NOWHERE}),
        ]
        withdraws = await self._may("WithdrawMethods")
        found = {"read": all(reads), "trade": all(trades), "withdraw": withdraws}
        return KeyRights(frozenset(word for word, may in found.items() if may))

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

    async def _may(self, method: str, fields: Mapping[str, object] | None = None) -> bool:
        """Whether the key may call this: whatever else is refused about it, it was not the right. What was answered just now need not be
        asked."""
        if monotonic() < self._desk.allowed.get(method, float("-inf")) + JUST_NOW:
            return True
        try:
            await self._client.private(self._signer, method, fields, within=self._within)
        except NoRight:
            return False
        except BadCredential:
            raise
        except Refused:
            return True
        return True

    async def _harmless(self) -> Mapping[str, object]:
        """An order that is looked at and never placed."""
        pairs = (await self._client.pairs()).all
        mine = [pair for pair in pairs if pair.spec.quote == self._desk.currency] or list(pairs)
        pair = mine[0]
        fields = {"pair": pair.key, "type": "buy", "ordertype": "limit", "volume": pair.spec.min_quantity}
        return fields | {"price": pair.spec.tick, "validate": True}

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
            self._client.ledger.limit(bucket, protocol.carefully(self._client.tier.orders))
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
