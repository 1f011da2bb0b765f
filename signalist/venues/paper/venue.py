"""The paper venue behind the protocol that every venue speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from signalist.domain.money import settle
from signalist.domain.orders import OrderType
from signalist.venues.base import (
    Ack,
    Balance,
    Capabilities,
    FillReport,
    NetPosition,
    OpenOrder,
    OrderReport,
    OrderRequest,
    PastOrder,
    Reports,
    Session,
)
from signalist.venues.errors import BadCredential, CannotKnow, OrderNotOpen
from signalist.venues.paper.book import OWN, Book, PaperOrder, TapeRow
from signalist.venues.paper.exchange import PaperExchange
from signalist.venues.transport import fence

PAPER = "paper"
CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    order_identity="client_id",
    amend=True,
    nets=True,
    reduce_only=True,
    looks=2,
    look_interval=0.0,
    answer_within=10.0,
)


class PaperVenue:
    """Opens accounts of the paper exchange. With `order_identity` "none" in its capabilities it keeps our ids to itself, as venues do that
    know none."""

    code = PAPER

    def __init__(self, exchange: PaperExchange, capabilities: Capabilities = CAPABILITIES) -> None:
        self.exchange = exchange
        self.capabilities = capabilities
        self._reader = _TapeReader(exchange)

    def open(self, account_ref: str) -> Session:
        kind = PaperSession if self.capabilities.order_identity == "client_id" else NamelessPaperSession
        return kind(self.exchange, self._reader, account_ref)


class PaperSession:
    """One account at the paper exchange."""

    def __init__(self, exchange: PaperExchange, reader: _TapeReader, ref: str) -> None:
        self._exchange, self._reader, self._ref = exchange, reader, ref
        self._wakes: list[Callable[[], None]] = []

    async def place(self, request: OrderRequest) -> Ack:
        fence.check()
        order = await self._exchange.place(self._ref, request)
        return Ack(order.client_order_id, order.venue_order_id)

    async def cancel(self, client_order_id: str) -> OrderReport:
        fence.check()
        return self._report(await self._exchange.cancel(self._ref, client_order_id))

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        fence.check()
        return self._report(await self._exchange.amend(self._ref, client_order_id, quantity, trigger))

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        orders: Mapping[str, PaperOrder] = await self._exchange.read(
            lambda: self._exchange.store.orders([client_order_id])
        )
        order = orders.get(client_order_id)
        return None if order is None or order.ref != self._ref else self._report(order)

    async def reports(self, after: str) -> Reports:
        rows = await self._reader.after(self._ref, int(after or "0"))
        if not rows:
            return Reports((), (), await self.balance(), after)
        last = rows[-1][1]
        currency = await self._reader.currency(self._ref)
        orders = {row.client_order_id: row for _, row in rows}
        return Reports(
            orders=tuple(
                OrderReport(r.client_order_id, r.venue_order_id, r.status, r.order_quantity, r.filled, r.reason, r.time)
                for r in orders.values()
            ),
            fills=tuple(
                FillReport(
                    r.fill_id,
                    r.client_order_id,
                    r.side,
                    r.symbol,
                    r.quantity,
                    r.price,
                    r.fee,
                    currency,
                    r.time,
                    r.venue_order_id,
                )
                for _, r in rows
                if r.fill_id
            ),
            balance=Balance(currency, last.balance, last.available),
            cursor=str(rows[-1][0]),
        )

    async def balance(self) -> Balance:
        book = await self._book()
        account = book.accounts[self._ref]
        return Balance(account.currency, account.cash, settle(book.available(self._ref)))

    async def positions(self) -> tuple[NetPosition, ...]:
        book = await self._book()
        return tuple(NetPosition(p.symbol, p.quantity) for p in book.positions.values() if p.quantity != 0)

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        book = await self._book()
        return tuple(open_order(order) for order in book.orders.values() if order.is_open)

    async def take_down(self, venue_order_id: str) -> None:
        book = await self._book()
        found = [o.client_order_id for o in book.orders.values() if o.venue_order_id == venue_order_id and o.is_open]
        if not found:
            raise OrderNotOpen("The order is not open any more.")
        await self._exchange.cancel(self._ref, found[0])

    def listen(self, wake: Callable[[], None]) -> None:
        self._exchange.listen(self._ref, wake)
        self._wakes.append(wake)

    async def close(self) -> None:
        while self._wakes:
            self._exchange.leave(self._ref, self._wakes.pop())

    async def _book(self) -> Book:
        book: Book = await self._exchange.read(lambda: self._exchange.store.books([self._ref]))
        if self._ref not in book.accounts:
            raise BadCredential("The venue does not know this account.")
        return book

    @staticmethod
    def _report(order: PaperOrder) -> OrderReport:
        return OrderReport(
            order.client_order_id,
            order.venue_order_id,
            order.status,
            order.quantity,
            order.filled,
            order.reason,
            order.active_from,
        )


class NamelessPaperSession(PaperSession):
    """The same account at a venue that knows orders under its own ids only."""

    async def place(self, request: OrderRequest) -> Ack:
        return replace(await super().place(request), client_order_id="")

    async def cancel(self, client_order_id: str) -> OrderReport:
        return _unnamed(await super().cancel(await self._open_under(client_order_id)))

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        return _unnamed(await super().amend(await self._open_under(client_order_id), quantity, trigger))

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        if not client_order_id.startswith(OWN):
            raise CannotKnow("The venue knows orders under its own ids only.")
        ever = datetime.min.replace(tzinfo=UTC)
        taken: Sequence[PaperOrder] = await self._exchange.read(lambda: self._exchange.store.taken(self._ref, ever))
        return next((_unnamed(self._report(o)) for o in taken if o.venue_order_id == client_order_id), None)

    async def reports(self, after: str) -> Reports:
        said = await super().reports(after)
        return replace(
            said,
            orders=tuple(_unnamed(report) for report in said.orders),
            fills=tuple(replace(fill, client_order_id="") for fill in said.fills),
        )

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        return tuple(replace(order, client_order_id="") for order in await super().open_orders())

    async def history(self, symbol: str, since: datetime) -> tuple[PastOrder, ...]:
        taken: Sequence[PaperOrder] = await self._exchange.read(lambda: self._exchange.store.taken(self._ref, since))
        return tuple(past_order(order) for order in taken if order.symbol == symbol)

    async def _open_under(self, venue_order_id: str) -> str:
        """The name that the book itself has for an open order. Raises OrderNotOpen where there is none."""
        book = await self._book()
        for order in book.orders.values():
            if order.venue_order_id == venue_order_id and order.is_open:
                return order.client_order_id
        raise OrderNotOpen("The order is not open any more.")


def _unnamed(report: OrderReport) -> OrderReport:
    return replace(report, client_order_id="")


def past_order(order: PaperOrder) -> PastOrder:
    """An order of the book as a history tells it. What is left of a market order that was filled in part has a price in the book only."""
    return PastOrder(
        order.venue_order_id,
        order.symbol,
        order.side,
        order.type,
        order.status,
        order.quantity,
        order.filled,
        None if order.type is OrderType.MARKET else order.price,
        order.trigger,
        order.reduce_only,
        order.active_from,
    )


def open_order(order: PaperOrder) -> OpenOrder:
    """An order of the book as the protocol tells it."""
    return OpenOrder(
        order.client_order_id,
        order.venue_order_id,
        order.symbol,
        order.side,
        order.type,
        order.quantity,
        order.filled,
        order.price,
        order.trigger,
        order.reduce_only,
        order.active_from,
    )


class _TapeReader:
    """Reads the tapes of all accounts that ask in the same turn of the loop with one query."""

    def __init__(self, exchange: PaperExchange) -> None:
        self._exchange = exchange
        self._asked: dict[str, int] = {}
        self._turn: asyncio.Task[Mapping[str, Sequence[tuple[int, TapeRow]]]] | None = None
        self._currencies: dict[str, str] = {}

    async def after(self, ref: str, cursor: int) -> Sequence[tuple[int, TapeRow]]:
        self._asked[ref] = min(cursor, self._asked.get(ref, cursor))
        if self._turn is None:
            self._turn = asyncio.get_running_loop().create_task(self._read())
        # Shielded: whoever gives up waiting must not take the answer from the others.
        rows = (await asyncio.shield(self._turn)).get(ref, ())
        return [(number, row) for number, row in rows if number > cursor]

    async def currency(self, ref: str) -> str:
        """The account's currency, which never changes."""
        if ref not in self._currencies:
            book: Book = await self._exchange.read(lambda: self._exchange.store.books([ref]))
            self._currencies[ref] = book.accounts[ref].currency
        return self._currencies[ref]

    async def _read(self) -> Mapping[str, Sequence[tuple[int, TapeRow]]]:
        asked, self._asked, self._turn = self._asked, {}, None
        return await self._exchange.read(lambda: self._exchange.store.tape(asked))
