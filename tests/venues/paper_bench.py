"""The paper venue on a bench: its exchange over any store, an instrument or two, and a market that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar

from signalist.clock import ReplayClock
from signalist.domain.instruments import InstrumentKind, InstrumentSpec
from signalist.domain.matching import Bar, slipped
from signalist.domain.orders import Side
from signalist.venues.base import Capabilities, Session
from signalist.venues.paper.book import Book, BookStore, PaperAccount, PaperOrder, PaperPosition, TapeRow
from signalist.venues.paper.exchange import PaperExchange, SymbolBar
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.paper.venue import CAPABILITIES, PaperVenue

T = TypeVar("T")
D = Decimal

DEPOSIT = D(10_000)
BEGIN = datetime(2022, 1, 1, tzinfo=UTC)
TERMS = Terms(taker_fee=D("0.001"), maker_fee=D("0.0005"), slippage=D("0.001"), partial_chance=D(0), seed=1)
PERPETUAL = InstrumentSpec(
    venue="paper",
    symbol="ABC-PERP",
    base="ABC",
    quote="USD",
    kind=InstrumentKind.PERPETUAL,
    tick=D("0.1"),
    lot=D("0.001"),
    min_quantity=D("0.005"),
    min_notional=D(5),
    max_leverage=D(50),
)
SPOT = replace(PERPETUAL, symbol="ABC-USD", kind=InstrumentKind.SPOT, max_leverage=D(1))


class Store(BookStore, Protocol):
    """A store in which accounts can be opened."""

    def open_account(self, ref: str, currency: str, cash: Decimal) -> None: ...


class MemoryStore:
    """The books in memory: what the real store does, without a database."""

    def __init__(self) -> None:
        self._accounts: dict[str, PaperAccount] = {}
        self._positions: dict[tuple[str, str], PaperPosition] = {}
        self._orders: dict[str, PaperOrder] = {}
        self._tape: list[TapeRow] = []
        self._version = 0

    def transact(self, refs: Collection[str], named: Collection[str], work: Callable[[Book], T]) -> T:
        self._version += 1
        book = self.books(refs)
        book.orders |= self.orders(named)
        result = work(book)
        self._accounts |= book.accounts
        self._positions |= {key: position for key, position in book.positions.items() if position.changed}
        self._orders |= {key: replace(order, new=False, changed=False) for key, order in book.orders.items()}
        self._tape += book.tape
        return result

    def version(self) -> int:
        return self._version

    def resting(self) -> Sequence[PaperOrder]:
        return [deepcopy(order) for order in self._orders.values() if order.is_open]

    def orders(self, client_order_ids: Collection[str]) -> Mapping[str, PaperOrder]:
        return {key: deepcopy(self._orders[key]) for key in client_order_ids if key in self._orders}

    def taken(self, ref: str, since: datetime) -> Sequence[PaperOrder]:
        mine = [o for o in self._orders.values() if o.ref == ref and o.active_from >= since]
        return [deepcopy(order) for order in sorted(mine, key=lambda order: order.active_from)]

    def tape(self, cursors: Mapping[str, int]) -> Mapping[str, Sequence[tuple[int, TapeRow]]]:
        return {
            ref: [(n, row) for n, row in enumerate(self._tape, 1) if row.ref == ref and n > cursor]
            for ref, cursor in cursors.items()
        }

    def books(self, refs: Collection[str]) -> Book:
        return Book(
            accounts={ref: deepcopy(self._accounts[ref]) for ref in refs if ref in self._accounts},
            positions={key: deepcopy(p) for key, p in self._positions.items() if p.ref in refs},
            orders={key: deepcopy(o) for key, o in self._orders.items() if o.ref in refs and o.is_open},
        )

    def entries_per_tag(self) -> Mapping[tuple[str, str], int]:
        counted: dict[tuple[str, str], int] = {}
        for order in self._orders.values():
            if not order.reduce_only:
                counted[order.ref, order.tag] = counted.get((order.ref, order.tag), 0) + 1
        return counted

    def open_positions(self) -> Sequence[PaperPosition]:
        return [deepcopy(p) for p in self._positions.values() if p.quantity != 0]

    def open_account(self, ref: str, currency: str, cash: Decimal) -> None:
        self._accounts.setdefault(ref, PaperAccount(ref, currency, cash))


class MovedMarket:
    """Both instruments at one price, which the test sets."""

    def __init__(self) -> None:
        self.last: Decimal | None = D(1000)

    def spec(self, symbol: str) -> InstrumentSpec | None:
        return {PERPETUAL.symbol: PERPETUAL, SPOT.symbol: SPOT}.get(symbol)

    def price(self, symbol: str) -> Decimal | None:
        return self.last


async def inline(function: Callable[[], T]) -> T:
    """Database work right here: a test has nothing else to do meanwhile."""
    return function()


class PaperBench:
    """See `tests.venues.battery.Bench`."""

    perpetual, spot = PERPETUAL, SPOT

    def __init__(self, store: Store, terms: Terms = TERMS, capabilities: Capabilities = CAPABILITIES) -> None:
        self.store, self.terms, self.capabilities = store, terms, capabilities
        self.taker_fee, self.maker_fee = terms.taker_fee, terms.maker_fee
        self.market, self.clock = MovedMarket(), ReplayClock(BEGIN)
        self.exchange = PaperExchange(store, self.market, self.clock, inline, terms)
        self.venue = PaperVenue(self.exchange, capabilities)
        self._opened = 0

    def taken_at(self, price: Decimal, side: Side) -> Decimal:
        return slipped(price, side, self.terms.slippage, PERPETUAL.tick)

    def account(self, cash: Decimal = DEPOSIT) -> Session:
        self._opened += 1
        self.store.open_account(f"account-{self._opened}", "USD", cash)
        return self.venue.open(f"account-{self._opened}")

    def now(self) -> datetime:
        return self.clock.now()

    async def moves_to(self, price: str | int | Decimal) -> None:
        begin = self._minute_later()
        self.market.last = D(price)
        await self._show(Bar.tick(D(price)), begin + timedelta(minutes=1))

    async def bar(self, opened: int, high: int, low: int) -> None:
        await self._show(Bar(D(opened), D(high), D(low)), self._minute_later())

    def closes(self) -> None:
        self.market.last = None

    def restarted(self) -> PaperBench:
        """The same books and market under a new exchange, as after a crash."""
        other = PaperBench(self.store, self.terms, self.capabilities)
        other.market, other.clock, other._opened = self.market, self.clock, self._opened
        other.exchange = PaperExchange(self.store, self.market, self.clock, inline, self.terms)
        other.venue = PaperVenue(other.exchange, self.capabilities)
        return other

    def _minute_later(self) -> datetime:
        begin = self.clock.now()
        self.clock.advance_to(begin + timedelta(minutes=1))
        return begin

    async def _show(self, bar: Bar, begin: datetime) -> None:
        moves = [SymbolBar(spec.symbol, bar, begin, self.clock.now()) for spec in (PERPETUAL, SPOT)]
        await self.exchange.on_bars(moves)
