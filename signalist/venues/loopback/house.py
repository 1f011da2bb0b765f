"""The loopback venue's books: accounts in memory, each with a book of its own that the paper venue's desk works on.

No input or output. Whatever is asked is answered with what goes over the wire as JSON, or a `VenueError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from signalist.domain.instruments import InstrumentSpec
from signalist.domain.matching import Bar, hits
from signalist.domain.money import ZERO
from signalist.domain.orders import OrderType, Side
from signalist.venues.base import OrderRequest
from signalist.venues.errors import DuplicateOrder, NoMarket, Refused, UnknownInstrument
from signalist.venues.loopback import protocol
from signalist.venues.paper.book import Book, PaperAccount, PaperOrder, TapeRow
from signalist.venues.paper.matching_desk import Desk, Terms, resting

NONCES_KEPT = 1024


@dataclass(slots=True)
class Holder:
    """An account at the venue. `done` are orders that are open no more; `taken_at` and `covered_at` monotonic moments.

    `covered_at`: when resting stops last came to cover all that is open; None while they do not.
    """

    ref: str
    secret: bytes
    book: Book
    done: dict[str, PaperOrder] = field(default_factory=dict)
    tape: list[TapeRow] = field(default_factory=list)
    taken_at: dict[str, float] = field(default_factory=dict)
    covered_at: float | None = None
    floor: int = 0
    used: set[int] = field(default_factory=set)
    rights: tuple[str, ...] = ("read", "trade")

    def takes(self, nonce: int) -> bool:
        """Whether a nonce may be used, once: requests that overtake each other on the way arrive in another order."""
        if nonce in self.used or nonce <= self.floor:
            return False
        self.used.add(nonce)
        if len(self.used) > NONCES_KEPT:
            kept = sorted(self.used)[NONCES_KEPT // 2 :]
            self.floor, self.used = kept[0], set(kept)
        return True

    def order(self, client_order_id: str) -> PaperOrder | None:
        return self.book.orders.get(client_order_id) or self.done.get(client_order_id)

    def all(self) -> list[PaperOrder]:
        return [*self.done.values(), *self.book.orders.values()]

    def net(self) -> dict[str, Decimal]:
        """Signed quantity by symbol, where it is not flat."""
        return {p.symbol: p.quantity for p in self.book.positions.values() if p.quantity}

    def is_covered(self) -> bool:
        """Whether resting reduce-only stops cover all that is open."""
        return all(self._stops(symbol, quantity) >= abs(quantity) for symbol, quantity in self.net().items())

    def _stops(self, symbol: str, held: Decimal) -> Decimal:
        side = Side.SELL if held > 0 else Side.BUY
        orders = self.book.orders.values()
        stops = (o for o in orders if o.type is OrderType.STOP and o.reduce_only and o.symbol == symbol)
        return sum((o.remaining for o in stops if o.side is side), ZERO)

    def balance(self) -> list[str]:
        """Currency, total and available."""
        account = self.book.accounts[self.ref]
        return [account.currency, str(account.cash), str(self.book.available(self.ref))]


class House:
    """The venue's books and rules. `now` is its clock, `moment` a monotonic one; `news` hears of every tape that grew.

    `holding` are the accounts with something open, `covered` those of them that resting stops cover.
    """

    def __init__(
        self,
        terms: Terms,
        now: Callable[[], datetime],
        moment: Callable[[], float],
        news: Callable[[Holder, int], None],
    ) -> None:
        self.terms = terms
        self._in_parts = replace(terms, partial_chance=Decimal(1))
        self._now, self._moment, self._news = now, moment, news
        self.holders: dict[str, Holder] = {}
        self.holding: set[str] = set()
        self.covered: set[str] = set()
        self.specs: dict[str, InstrumentSpec] = {}
        self.prices: dict[str, Decimal] = {}
        self._asked: Mapping[str, Callable[[Holder, Mapping[str, Any]], Any]] = {
            protocol.PLACE: self._place,
            protocol.CANCEL: self._cancel,
            protocol.AMEND: self._amend,
            protocol.LOOK_UP: self._look_up,
            protocol.REPORTS: self._reports,
            protocol.BALANCE: lambda holder, _: holder.balance(),
            protocol.POSITIONS: lambda holder, _: [[s, str(q)] for s, q in holder.net().items()],
            protocol.OPEN_ORDERS: lambda holder, _: [open_row(o) for o in holder.book.orders.values() if o.is_open],
            protocol.HISTORY: self._history,
            protocol.TAKE_DOWN: self._cancel,
            protocol.RIGHTS: lambda holder, _: list(holder.rights),
        }

    def open_account(self, ref: str, secret: bytes, currency: str, cash: Decimal) -> None:
        """Open an account with a deposit; one that exists begins anew."""
        self.holding.discard(ref)
        self.covered.discard(ref)
        self.holders[ref] = Holder(ref, secret, Book({ref: PaperAccount(ref, currency, cash)}, {}, {}))

    def ask(self, holder: Holder, path: str, said: Mapping[str, Any], *, in_parts: bool = False) -> Any:
        """Carry out a private request. Raises VenueError; ValueError and its kin where `said` is none of the protocol."""
        if path == protocol.PLACE:
            return self._place(holder, said, in_parts=in_parts)
        return self._asked[path](holder, said)

    def move(self, symbol: str, bar: Bar) -> int:
        """Let the market do this in `symbol`: what rests is filled. Returns how many orders it reached."""
        spec, reached = self.specs[symbol], 0
        for holder in self.holders.values():
            if not holder.book.orders:
                continue
            standing = [o for o in holder.book.orders.values() if o.symbol == symbol and o.is_open]
            found = hits([resting(order) for order in standing], bar)
            if not found:
                continue
            desk = Desk(holder.book, self.terms, self._now())
            for hit in found:
                order = holder.book.orders[hit.order.key]
                if order.is_open:
                    desk.fill_hit(order, hit, spec)
            self._settled(holder)
            reached += len(found)
        return reached

    # --- What accounts ask -----------------------------------------------------------------------

    def _place(self, holder: Holder, said: Mapping[str, Any], *, in_parts: bool = False) -> list[str]:
        request = order_request(said)
        if (spec := self.specs.get(request.symbol)) is None:
            raise UnknownInstrument(f"There is no instrument {request.symbol}.")
        if request.expires_at is not None and self._now() > request.expires_at:
            raise Refused("The order came after its own deadline.")
        if (price := self.prices.get(request.symbol)) is None:
            raise NoMarket(f"There is no market in {request.symbol} now.")
        if request.client_order_id in holder.done:
            raise DuplicateOrder(f"There already is an order {request.client_order_id}.")
        desk = Desk(holder.book, self._in_parts if in_parts else self.terms, self._now())
        order = desk.accept(holder.ref, request, spec, price)
        holder.taken_at[order.client_order_id] = self._moment()
        self._settled(holder)
        return [order.client_order_id, order.venue_order_id]

    def _cancel(self, holder: Holder, said: Mapping[str, Any]) -> list[str]:
        order = self._desk(holder).cancel(_open(holder, said))
        self._settled(holder)
        return order_row(order)

    def _amend(self, holder: Holder, said: Mapping[str, Any]) -> list[str]:
        order = _open(holder, said)
        spec = None if order is None else self.specs.get(order.symbol)
        trigger = None if said.get("trigger") is None else Decimal(str(said["trigger"]))
        order = self._desk(holder).amend(order, Decimal(str(said["quantity"])), spec, trigger)
        self._settled(holder)
        return order_row(order)

    def _look_up(self, holder: Holder, said: Mapping[str, Any]) -> list[str] | None:
        order = holder.order(str(said["id"])) if "id" in said else _under(holder.all(), said)
        return None if order is None else order_row(order)

    def _history(self, holder: Holder, said: Mapping[str, Any]) -> list[list[Any]]:
        since = datetime.fromisoformat(said["since"])
        taken = [o for o in holder.all() if o.symbol == str(said["symbol"]) and o.active_from >= since]
        return [[*open_row(o), o.status.value] for o in sorted(taken, key=lambda o: o.active_from)]

    def _reports(self, holder: Holder, said: Mapping[str, Any]) -> dict[str, Any]:
        after = int(said["after"] or 0)
        rows = [tape_row(row) for row in holder.tape[after:]]
        return {"rows": rows, "balance": holder.balance(), "cursor": max(after, len(holder.tape))}

    def _desk(self, holder: Holder) -> Desk:
        return Desk(holder.book, self.terms, self._now())

    def _settled(self, holder: Holder) -> None:
        """After each change: closed orders leave the book, the tape goes on record, and who listens hears of it."""
        book, before = holder.book, len(holder.tape)
        for key in [key for key, order in book.orders.items() if not order.is_open]:
            holder.done[key] = book.orders.pop(key)
        holds = bool(holder.net())
        covered = holds and holder.is_covered()
        if covered != (holder.covered_at is not None):
            holder.covered_at = self._moment() if covered else None
        (self.holding.add if holds else self.holding.discard)(holder.ref)
        (self.covered.add if covered else self.covered.discard)(holder.ref)
        if book.tape:
            holder.tape += book.tape
            book.tape = []
            self._news(holder, before)


# --- The wire ------------------------------------------------------------------------------------


def order_request(said: Mapping[str, Any]) -> OrderRequest:
    """An order as it came. Raises ValueError and its kin where it is none."""

    def number(name: str) -> Decimal | None:
        return None if said.get(name) is None else Decimal(str(said[name]))

    try:
        quantity, leverage = number("quantity"), number("leverage")
        assert quantity is not None and leverage is not None
        expires_at = said.get("expires_at")
        return OrderRequest(
            client_order_id=str(said["id"]),
            symbol=str(said["symbol"]),
            side=Side(said["side"]),
            type=OrderType(said["type"]),
            quantity=quantity,
            price=number("price"),
            trigger=number("trigger"),
            reduce_only=said["reduce_only"] is True,
            leverage=leverage,
            tag=str(said["tag"]),
            expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        )
    except InvalidOperation:
        raise ValueError("A number is none.") from None


def _open(holder: Holder, said: Mapping[str, Any]) -> PaperOrder | None:
    """The open order that is asked for under the client's id or the venue's."""
    return holder.book.orders.get(str(said["id"])) if "id" in said else _under(holder.book.orders.values(), said)


def _under(orders: Iterable[PaperOrder], said: Mapping[str, Any]) -> PaperOrder | None:
    return next((order for order in orders if order.venue_order_id == str(said["venue_id"])), None)


def order_row(order: PaperOrder) -> list[str]:
    """An order as it goes out."""
    return [
        order.client_order_id,
        order.venue_order_id,
        order.status.value,
        str(order.quantity),
        str(order.filled),
        order.reason,
        order.active_from.isoformat(),
    ]


def open_row(order: PaperOrder) -> list[Any]:
    """An open order as it goes out, whoever placed it."""
    return [
        order.client_order_id,
        order.venue_order_id,
        order.symbol,
        order.side.value,
        order.type.value,
        str(order.quantity),
        str(order.filled),
        None if order.price is None else str(order.price),
        None if order.trigger is None else str(order.trigger),
        order.reduce_only,
        order.active_from.isoformat(),
    ]


def tape_row(row: TapeRow) -> Sequence[str]:
    """A tape row as it goes out."""
    return [
        row.client_order_id,
        row.venue_order_id,
        row.symbol,
        row.side.value,
        row.status.value,
        str(row.order_quantity),
        str(row.filled),
        row.reason,
        row.time.isoformat(),
        row.fill_id,
        str(row.quantity),
        str(row.price),
        str(row.fee),
        str(row.balance),
        str(row.available),
    ]
