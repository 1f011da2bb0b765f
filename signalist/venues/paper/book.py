"""The paper venue's books in memory, and the store that keeps them.

A `Book` holds the accounts, positions and open orders that one of the venue's transactions works on; the store loads it
under the venue's lock, and saves what changed before the venue answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import ZERO
from signalist.domain.orders import OrderStatus, OrderType, Side

T = TypeVar("T")

OWN = "P-"
"""How the venue's own order ids begin."""


@dataclass(slots=True)
class PaperAccount:
    """An account's cash in its currency: deposits plus realised results minus fees."""

    ref: str
    currency: str
    cash: Decimal
    changed: bool = False


@dataclass(slots=True)
class PaperPosition:
    """Net position in one symbol. `quantity` is signed; `value` is what was paid for it (signed like it); `margin` is locked."""

    ref: str
    symbol: str
    quantity: Decimal = ZERO
    value: Decimal = ZERO
    margin: Decimal = ZERO
    changed: bool = False


@dataclass(slots=True)
class PaperOrder:
    """An order in the venue's book. `active_from` is when it could first trade with what the market does next.

    A market order that was filled in part has the price of that part, at which the rest stays paid for.
    """

    ref: str
    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    trigger: Decimal | None
    reduce_only: bool
    leverage: Decimal
    tag: str
    active_from: datetime
    status: OrderStatus = OrderStatus.WORKING
    filled: Decimal = ZERO
    reason: str = ""
    new: bool = True
    changed: bool = False

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def is_open(self) -> bool:
        return self.status in (OrderStatus.WORKING, OrderStatus.PARTIAL)

    @property
    def locked(self) -> Decimal:
        """The money that an open order keeps ready for what may still be filled; nothing where it only reduces."""
        level = self.price or self.trigger
        if self.reduce_only or level is None or not self.is_open:
            return ZERO
        return self.remaining * level / self.leverage


@dataclass(frozen=True, slots=True)
class TapeRow:
    """One line of an account's tape: a fill (fill_id set), or a change of an order that the venue itself made."""

    ref: str
    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    status: OrderStatus
    order_quantity: Decimal
    filled: Decimal
    reason: str
    time: datetime
    fill_id: str = ""
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    fee: Decimal = ZERO
    balance: Decimal = ZERO
    available: Decimal = ZERO


@dataclass(slots=True)
class Book:
    """What one transaction works on. Orders are keyed by client order id; only open ones are loaded, and named ones."""

    accounts: dict[str, PaperAccount]
    positions: dict[tuple[str, str], PaperPosition]
    orders: dict[str, PaperOrder]
    tape: list[TapeRow] = field(default_factory=list)

    def position(self, ref: str, symbol: str) -> PaperPosition:
        """The account's position in `symbol`, flat if it has none."""
        return self.positions.setdefault((ref, symbol), PaperPosition(ref, symbol))

    def available(self, ref: str) -> Decimal:
        """Cash that is locked neither by positions nor by open orders that would open one."""
        margins = sum((p.margin for p in self.positions.values() if p.ref == ref), ZERO)
        orders = sum((o.locked for o in self.orders.values() if o.ref == ref), ZERO)
        return self.accounts[ref].cash - margins - orders


@dataclass(frozen=True, slots=True)
class BookAudit:
    """The venue's own count of what must never be: see `PaperExchange.audit`."""

    duplicates: int
    unprotected: tuple[tuple[str, str], ...]


class BookStore(Protocol):
    """Keeps the books. Every method is one transaction of the venue's own, committed when it returns."""

    def transact(self, refs: Collection[str], named: Collection[str], work: Callable[[Book], T]) -> T:
        """Lock the venue, load the accounts `refs` with positions and open orders and the orders `named`, do `work`, save, commit."""
        ...

    def version(self) -> int:
        """A number that grows with every transaction of the venue."""
        ...

    def resting(self) -> Sequence[PaperOrder]:
        """All open orders."""
        ...

    def orders(self, client_order_ids: Collection[str]) -> Mapping[str, PaperOrder]: ...

    def taken(self, ref: str, since: datetime) -> Sequence[PaperOrder]:
        """The orders that the account has placed since then, open or not, oldest first."""
        ...

    def tape(self, cursors: Mapping[str, int]) -> Mapping[str, Sequence[tuple[int, TapeRow]]]:
        """For each account the lines after its cursor, with their numbers."""
        ...

    def books(self, refs: Collection[str]) -> Book:
        """The accounts as they stand, to read only."""
        ...

    def entries_per_tag(self) -> Mapping[tuple[str, str], int]:
        """How many orders that open a position were accepted, per account and tag."""
        ...

    def open_positions(self) -> Sequence[PaperPosition]: ...


def duplicates(store: BookStore) -> int:
    """How many entries were accepted beyond one per account and tag."""
    return sum(count - 1 for count in store.entries_per_tag().values())


class MarketView(Protocol):
    """The public side that the venue trades against."""

    def spec(self, symbol: str) -> InstrumentSpec | None: ...

    def price(self, symbol: str) -> Decimal | None:
        """The present market price, or None when there is no market."""
        ...
