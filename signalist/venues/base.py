"""The protocol that every venue speaks to us, and its abilities as data.

A `Venue` opens an account's `Session`; the paper venue implements the same two. Differences between venues are
`Capabilities`, never a check of the venue's name. All methods raise `signalist.venues.errors.VenueError` only.
Quantities are in base units, prices and fees in quote currency, times aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable

from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.errors import VenueError


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a venue can do.

    `order_identity`: "client_id" where an order can be looked up under our own id. "none" where it has no name of ours: all that the venue
    tells carries "" for it, an order is asked for, cancelled and amended under the venue's own id, and its session `TellsHistory`; a
    request that was not answered within `answer_within` seconds is not carried out any more.
    `nets`: one net position per account and instrument. `amend`: quantity and trigger can be changed in place.
    `reserves_exits`: each resting exit locks its quantity, so that a stop and a target for the same one cannot both rest; where it does
    not, both do, and what is left of one is cancelled when the other has filled.
    `reduce_only`: an order can be kept from doing more than close a position: what is left of it when that is closed comes to nothing.
    `holds_stock`: it knows no positions, only what is held of each asset, whoever bought it: what lies beside ours is the person's own.
    `batch`: how many orders of one instrument may be placed in one request; 0 where each goes by itself, else its session `PlacesMany`.
    `looks` × `look_interval` seconds: how often an order must not be found before it counts as never arrived.
    """

    order_types: frozenset[OrderType]
    order_identity: Literal["client_id", "none"]
    amend: bool
    nets: bool
    reduce_only: bool
    looks: int
    look_interval: float
    answer_within: float
    reserves_exits: bool = False
    holds_stock: bool = False
    batch: int = 0

    @property
    def one_exit_rests(self) -> bool:
        """Whether of a stop and a target for the same quantity one alone may rest: the other would find nothing left, or, where an order
        cannot be kept from opening a position, fill after the first all the same (CON-28)."""
        return self.reserves_exits or not self.reduce_only

    def rests(self, kind: OrderType) -> bool:
        """Whether the venue keeps such an order until its time; what it does not keep is watched by the engine."""
        return kind in self.order_types

    def named(self, client_order_id: str, venue_order_id: str) -> str:
        """The id under which the venue is asked for an order of ours; "" where it has not told its own yet."""
        return client_order_id if self.order_identity == "client_id" else venue_order_id


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as it goes out. `tag` travels with it and names what it is for; `expires_at` is the venue's own deadline for it. Ours,
    after which no byte of it may be written, is `transport.fence`."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    trigger: Decimal | None
    reduce_only: bool
    leverage: Decimal
    tag: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """The venue has taken the order. Its fills come as reports."""

    client_order_id: str
    venue_order_id: str


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the venue sees it."""

    client_order_id: str
    venue_order_id: str
    status: OrderStatus
    quantity: Decimal
    filled: Decimal
    reason: str
    time: datetime


@dataclass(frozen=True, slots=True)
class FillReport:
    """One fill; `venue_fill_id` is unique within the account for ever. `venue_order_id` is "" where the venue does not say."""

    venue_fill_id: str
    client_order_id: str
    side: Side
    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    time: datetime
    venue_order_id: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """The account's money: `total` without unrealised results, `available` for new orders."""

    currency: str
    total: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class Reports:
    """What happened in an account after a cursor, in the venue's order, with the balance after it. `cursor` asks for what follows.

    `unread_until`: the venue was not asked, or tells nothing, of what happened before that, though it was behind the cursor; None where
    nothing is missing.
    """

    orders: tuple[OrderReport, ...]
    fills: tuple[FillReport, ...]
    balance: Balance
    cursor: str
    unread_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests in the venue's book, whoever placed it. `client_order_id` is "" where it was placed under none."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    trigger: Decimal | None
    reduce_only: bool
    time: datetime


@dataclass(frozen=True, slots=True)
class PastOrder:
    """An order as a venue's history tells it, open or over, whoever placed it. `time` is when the venue took it, by our clock: an adapter
    that knows how far the venue's is off takes that out, because orders in doubt are found by it."""

    venue_order_id: str
    symbol: str
    side: Side
    type: OrderType
    status: OrderStatus
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    trigger: Decimal | None
    reduce_only: bool
    time: datetime


@dataclass(frozen=True, slots=True)
class NetPosition:
    """The venue's net position: positive quantity is long."""

    symbol: str
    quantity: Decimal


class Session(Protocol):
    """An account, opened. Placing is never repeated by anybody; cancels and queries may be.

    Where the venue's `order_identity` is "none", `client_order_id` is the venue's own id in all methods but `place`.
    """

    async def place(self, request: OrderRequest) -> Ack: ...

    async def cancel(self, client_order_id: str) -> OrderReport:
        """Take the order back, and tell what became of it: it counts as gone where the report itself shows it as over, and is in doubt and
        looked up where not. Raises OrderNotOpen where there is none to take back."""
        ...

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        """Change the order's whole quantity, and its trigger where one is given, in place and together."""
        ...

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        """The order under our id; None when the venue does not know it (which may change: several looks decide). Raises CannotKnow where
        the venue knows no such ids."""
        ...

    async def reports(self, after: str) -> Reports: ...

    async def balance(self) -> Balance: ...

    async def positions(self) -> tuple[NetPosition, ...]: ...

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """All orders that are open in the account, whoever placed them."""
        ...

    async def take_down(self, venue_order_id: str) -> None:
        """Cancel an open order under the venue's own id: one that is not ours. Raises OrderNotOpen where there is none."""
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever the venue has something new to report."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class HasStream(Protocol):
    """A session that hears what happens by a stream of its own, and asks where it cannot."""

    @property
    def stream_problem(self) -> str:
        """Why its stream was given up; "" while it stands or is being joined."""
        ...


@runtime_checkable
class HasArrears(Protocol):
    """A session whose venue may tell what orders have filled before it tells the fills."""

    @property
    def arrears(self) -> str:
        """Which fills have been missing for long, in words; "" while none is."""
        ...


@runtime_checkable
class PlacesMany(Protocol):
    """A session that can ask for several orders in one request."""

    async def place_many(self, requests: Sequence[OrderRequest]) -> tuple[Ack | VenueError, ...]:
        """Place orders of one instrument; what became of each, in their order. As with `place`, none is sent a second time."""
        ...

    async def cancel_many(self, client_order_ids: Sequence[str]) -> tuple[OrderReport | VenueError, ...]:
        """Cancel orders; what became of each, in their order."""
        ...


@runtime_checkable
class TellsHistory(Protocol):
    """A session that can be asked what orders there were."""

    async def history(self, symbol: str, since: datetime) -> tuple[PastOrder, ...]:
        """All orders of the account in `symbol` that the venue has taken since then, open or over, oldest first."""
        ...


@runtime_checkable
class TellsReturns(Protocol):
    """A session that listens to a stream which may break, and says when it is whole again."""

    def returns(self, say: Callable[[], None]) -> None:
        """Have `say` called whenever the account is on its venue's stream again after it was not."""
        ...


class Venue(Protocol):
    """An exchange or broker."""

    @property
    def code(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def open(self, account_ref: str) -> Session:
        """A session of the account that the venue knows as `account_ref`."""
        ...
