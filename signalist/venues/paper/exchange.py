"""The paper exchange: one sequencer that works its requests off in batches, each committed before any of them is answered.

Requests that arrive together (a fan-out) share one transaction, as a matching engine's group commit does. The market side
is `on_bars`: candles and ticks fill what rests, and after a restart the candles that were missed are worked through.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar

from signalist.clock import Clock
from signalist.domain.matching import Bar, hits
from signalist.domain.money import ZERO
from signalist.domain.orders import OrderType, Side
from signalist.failpoints import failpoint
from signalist.venues.base import OrderRequest
from signalist.venues.errors import (
    BadCredential,
    DuplicateOrder,
    NoAnswer,
    NoMarket,
    Refused,
    UnknownInstrument,
    VenueError,
)
from signalist.venues.paper.book import Book, BookAudit, BookStore, MarketView, PaperOrder, duplicates
from signalist.venues.paper.matching_desk import Desk, Terms, resting

T = TypeVar("T")
logger = logging.getLogger(__name__)

# An order that reached the venue within this time of a bar's begin counts as having stood in it.
GRACE = timedelta(seconds=1)


class InThread(Protocol):
    """Runs a blocking function where the database may be used."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class SymbolBar:
    """What the market did in one symbol: `bar` over the time from `begin` to `end` (equal for a tick)."""

    symbol: str
    bar: Bar
    begin: datetime
    end: datetime


@dataclass(slots=True)
class _Waiting:
    ref: str
    named: str
    work: Callable[[Desk], PaperOrder]
    answer: asyncio.Future[PaperOrder]


class PaperExchange:
    """The venue as a whole. `in_thread` runs its store's transactions; `sleep` waits its latency (nothing in a replay)."""

    def __init__(
        self,
        store: BookStore,
        market: MarketView,
        clock: Clock,
        in_thread: InThread,
        terms: Terms | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        *,
        sole: bool = False,
    ) -> None:
        self.store = store
        self.terms = terms or Terms()
        self._market, self._clock, self._in_thread, self._sleep = market, clock, in_thread, sleep
        self._waiting: list[_Waiting] = []
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._flush: asyncio.Task[None] | None = None
        self._seen: dict[str, list[PaperOrder]] = {}
        self._seen_version = -1
        self._sole, self._own_transactions = sole, 0
        self.changed = True

    def listen(self, ref: str, wake: Callable[[], None]) -> None:
        """Call `wake` after every transaction that wrote to the account's tape."""
        self._listeners.setdefault(ref, []).append(wake)

    def leave(self, ref: str, wake: Callable[[], None]) -> None:
        """Call `wake` no more."""
        self._listeners[ref].remove(wake)

    async def place(self, ref: str, request: OrderRequest) -> PaperOrder:
        """Take an order; see `Desk.accept`."""
        spec = self._market.spec(request.symbol)
        if spec is None:
            raise UnknownInstrument(f"There is no instrument {request.symbol}.")

        def work(desk: Desk) -> PaperOrder:
            price = self._market.price(request.symbol)
            if price is None:
                raise NoMarket(f"There is no market in {request.symbol} now.")
            return desk.accept(ref, request, spec, price)

        name = request.client_order_id
        try:
            return await self._submit(ref, name, work)
        except DuplicateOrder:
            raise
        except Refused as error:
            # Books that are kept in memory have no orders that are over: what such a one took may be what this one lacks.
            if name in await self._in_thread(lambda: self.store.orders({name})):
                raise DuplicateOrder(f"There already is an order {name}.") from error
            raise

    async def cancel(self, ref: str, client_order_id: str) -> PaperOrder:
        """Take an order out of the book."""
        return await self._submit(ref, client_order_id, lambda desk: desk.cancel(_own(desk.book, ref, client_order_id)))

    async def amend(
        self, ref: str, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None
    ) -> PaperOrder:
        """Change an open order's quantity, and its trigger where one is given."""

        def work(desk: Desk) -> PaperOrder:
            order = _own(desk.book, ref, client_order_id)
            spec = None if order is None else self._market.spec(order.symbol)
            return desk.amend(order, quantity, spec, trigger)

        return await self._submit(ref, client_order_id, work)

    async def read(self, question: Callable[[], T]) -> T:
        """Ask the store something."""
        return await self._in_thread(question)

    async def on_bars(self, bars: Sequence[SymbolBar]) -> int:
        """Let the market's moves fill what rests; returns how many orders they touched."""
        by_symbol = {move.symbol: move for move in bars}
        reached = await self._in_thread(lambda: self._reached(by_symbol))
        if not reached:
            return 0
        refs = {order.ref for order in reached}
        named = {order.client_order_id for order in reached}
        await self._in_thread(lambda: self.store.transact(refs, named, lambda book: self._work_off(book, by_symbol)))
        self._own_transactions += 1
        failpoint("paper.market_committed")
        self.changed = True
        self._wake(refs)
        return len(reached)

    def _reached(self, bars: Mapping[str, SymbolBar]) -> list[PaperOrder]:
        found = []
        for symbol, orders in self._resting().items():
            move = bars.get(symbol)
            if move is None:
                continue
            reached = {hit.order.key for hit in hits([resting(order) for order in orders], move.bar)}
            found += [o for o in orders if o.client_order_id in reached and o.active_from <= move.begin + GRACE]
        return found

    def _resting(self) -> Mapping[str, list[PaperOrder]]:
        """The open orders by symbol, read again whenever the venue's book has moved on, by whomever."""
        version = self._own_transactions if self._sole else self.store.version()
        if version != self._seen_version:
            by_symbol: dict[str, list[PaperOrder]] = {}
            for order in self.store.resting():
                by_symbol.setdefault(order.symbol, []).append(order)
            self._seen, self._seen_version = by_symbol, version
        return self._seen

    def _work_off(self, book: Book, bars: Mapping[str, SymbolBar]) -> None:
        for symbol, move in sorted(bars.items()):
            spec = self._market.spec(symbol)
            if spec is None:
                continue
            desk = Desk(book, self.terms, move.end)
            standing = [
                o
                for o in book.orders.values()
                if o.symbol == symbol and o.is_open and o.active_from <= move.begin + GRACE
            ]
            for hit in hits([resting(order) for order in standing], move.bar):
                order = book.orders[hit.order.key]
                if order.is_open:
                    desk.fill_hit(order, hit, spec)

    async def _submit(self, ref: str, named: str, work: Callable[[Desk], PaperOrder]) -> PaperOrder:
        if self._sleep is not None:
            await self._sleep(self.terms.latency_ms / 1000)
        answer: asyncio.Future[PaperOrder] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(ref, named, work, answer))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.get_running_loop().create_task(self._work_off_requests())
        return await answer

    async def _work_off_requests(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                results, touched = await self._in_thread(lambda batch=batch: self._transact(batch))  # type: ignore[misc]
            except Exception as error:
                # Whatever it was, every caller must hear that nothing is certain, as from any venue that breaks.
                logger.exception("The paper venue could not work off its requests.")
                for waiting in batch:
                    if not waiting.answer.done():
                        lost = NoAnswer(f"The venue did not answer ({type(error).__name__}).")
                        lost.__cause__ = error
                        waiting.answer.set_exception(lost)
                continue
            self._own_transactions += 1
            failpoint("paper.committed")
            self.changed = True
            self._wake(touched)
            for waiting, result in zip(batch, results, strict=True):
                if waiting.answer.done():
                    continue
                if isinstance(result, VenueError):
                    waiting.answer.set_exception(result)
                else:
                    waiting.answer.set_result(result)

    def _transact(self, batch: Sequence[_Waiting]) -> tuple[list[PaperOrder | VenueError], set[str]]:
        now = self._clock.now() + timedelta(milliseconds=self.terms.latency_ms)

        def work(book: Book) -> tuple[list[PaperOrder | VenueError], set[str]]:
            desk, results = Desk(book, self.terms, now), list[PaperOrder | VenueError]()
            for waiting in batch:
                try:
                    if waiting.ref not in book.accounts:
                        raise BadCredential("The venue does not know this account.")
                    results.append(replace(waiting.work(desk)))  # as it is now: what comes next may change it
                except VenueError as error:
                    results.append(error)
            return results, {row.ref for row in book.tape}

        return self.store.transact({w.ref for w in batch}, {w.named for w in batch}, work)

    def _wake(self, refs: set[str]) -> None:
        for ref in sorted(refs):
            for wake in self._listeners.get(ref, ()):
                wake()

    async def audit(self) -> BookAudit:
        """What the book itself says: accepted entries beyond one per account and tag, and positions not covered by a resting stop."""
        return await self._in_thread(lambda: BookAudit(duplicates(self.store), self._unprotected()))

    async def unprotected(self) -> tuple[tuple[str, str], ...]:
        """The (account, symbol) of every position of which more is open than resting reduce-only stops cover."""
        return await self._in_thread(self._unprotected)

    def _unprotected(self) -> tuple[tuple[str, str], ...]:
        positions = [p for p in self.store.open_positions() if p.quantity != 0]
        covered: dict[tuple[str, str, Side], Decimal] = {}
        for order in (order for orders in self._resting().values() for order in orders):
            if order.type is OrderType.STOP and order.reduce_only:
                key = (order.ref, order.symbol, order.side)
                covered[key] = covered.get(key, ZERO) + order.remaining
        return tuple(
            (p.ref, p.symbol)
            for p in positions
            if covered.get((p.ref, p.symbol, Side.SELL if p.quantity > 0 else Side.BUY), ZERO) < abs(p.quantity)
        )


def _own(book: Book, ref: str, client_order_id: str) -> PaperOrder | None:
    """The account's order; another account's is as if it were not there."""
    order = book.orders.get(client_order_id)
    return order if order is not None and order.ref == ref else None
