"""Compares an account's books with what its venue says it holds; arithmetic only, nothing is read or written.

What is under way is no difference: a symbol with an order on its way, being changed or being filled is not compared, and the money only
where nothing is under way at all. Quantities are signed, long is positive; money is in the account's currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from signalist.domain.money import ZERO, plain
from signalist.domain.orders import Leg, OrderStatus, OrderType
from signalist.domain.signals import Direction
from signalist.trading.discrepancies import BALANCE, CURRENCY, POSITION, STOCK, AccountLook, Discrepancy, Kind, State
from signalist.trading.models import Order, Position
from signalist.venues.base import Balance, NetPosition, OpenOrder, OrderReport, Reports

CENT = Decimal("0.01")
"""Venues round what they pay and take: a gap below this is none."""
SETTLED = "settled"
"""In a line of sums: what the venue held beyond our books when nothing of the symbol was on the move, signed, as text."""
_ON_ITS_WAY = (OrderStatus.CREATED, OrderStatus.SENDING, OrderStatus.UNKNOWN)
_NOT_SEEN_YET = (OrderStatus.SENDING, OrderStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the venue says. `news` is what it reports after our cursor, asked for last. `looked_up` are those of our orders that it did not
    list, asked for one by one (None: not known there)."""

    orders: tuple[OpenOrder, ...]
    positions: tuple[NetPosition, ...]
    balance: Balance
    news: Reports
    looked_up: Mapping[int, OrderReport | None] = field(default_factory=dict)


@dataclass(slots=True)
class Books:
    """Our side of one account. `orders` are active, `named` those that the snapshot names; `foreign` is by difference what strangers'
    fills come to; `earned` what trades brought since the last look that agreed; `dust` is by symbol what we gave up and the venue holds,
    `worth` what it cost: where the venue nets it with a position, it books a result of it that no trade of ours has. `closed` is by
    position what its closed part brought before fees, for those that are closed in part; `elsewhere` what of its fees was not taken of
    the account's money, which is in `currency`."""

    cursor: str
    orders: Sequence[Order]
    positions: Sequence[Position]
    symbols: Mapping[int, str]
    standing: Sequence[Discrepancy]
    look: AccountLook | None
    foreign: Mapping[int, Decimal]
    earned: Decimal = ZERO
    dust: Mapping[str, Decimal] = field(default_factory=dict)
    worth: Decimal = ZERO
    named: Mapping[str, Order] = field(default_factory=dict)
    closed: Mapping[int, Decimal] = field(default_factory=dict)
    elsewhere: Mapping[int, Decimal] = field(default_factory=dict)
    currency: str = ""

    @property
    def print(self) -> tuple[Any, ...]:
        """Differs as soon as anything has changed that a snapshot is compared with."""
        orders = {
            (o.pk, o.status, o.filled, o.quantity, o.busy, o.cancel_wanted, o.wanted_quantity) for o in self.orders
        }
        return self.cursor, orders, {(p.pk, p.quantity) for p in self.positions}, {d.pk for d in self.standing}


@dataclass(frozen=True, slots=True)
class Sight:
    """A difference as one look sees it."""

    kind: Kind
    symbol: str
    subject: str
    ours: Decimal | None
    theirs: Decimal | None
    facts: Mapping[str, str] = field(default_factory=dict)
    pauses: bool = True

    @property
    def place(self) -> tuple[str, str]:
        """What it is about; of these there is one difference at a time."""
        return self.symbol, self.subject

    @property
    def numbers(self) -> tuple[Decimal | None, Decimal | None]:
        """What must be the same in the next look for it to be the same difference."""
        return self.ours, self.theirs


@dataclass(slots=True)
class Found:
    """What a look comes to. `moving`: symbols that could not be compared; `turned_up`: orders of ours that we had given up; `beside`: fills
    of the person's own were told, which paid and took of the same money."""

    sights: list[Sight]
    moving: set[str]
    sums: list[dict[str, Any]]
    turned_up: list[OrderReport]
    balance_compared: bool
    expected: Decimal | None
    beside: bool = False


def compare(books: Books, snapshot: Snapshot, *, stock: bool = False) -> Found:
    """What differs now. That it lasts, and is no mere delay, is for the caller to see. `stock`: the venue tells what is held, whoever
    bought it; what lies beside our positions is the person's own, and only a lack is a difference."""
    moving = {books.symbols[order.instrument_id] for order in books.orders if is_moving(order)}
    sums = position_sums(books, snapshot.positions)
    for line in sums if stock else ():
        line["own"] = plain(max(Decimal(line["venue"]) - Decimal(line["ours"]), ZERO))
    sights = [*_external_orders(books, snapshot), *_lost_orders(books, snapshot), *_changed_orders(books, snapshot)]
    sights += [sight for line in sums if line["symbol"] not in moving for sight in _position(books, line, stock=stock)]
    unexplained = any(s.subject == POSITION for s in sights) or any(d.subject == POSITION for d in books.standing)
    quiet = not moving and not unexplained
    told_in = snapshot.balance.currency
    foreign = bool(told_in and books.currency) and told_in != books.currency
    expected = _expected(books) if quiet and not foreign else None
    if expected is not None and abs(snapshot.balance.total - expected) >= CENT + books.worth:
        lacks = snapshot.balance.total < expected
        total = snapshot.balance.total
        sights.append(Sight(Kind.BALANCE_GAP, "", BALANCE, expected, total, {CURRENCY: ""}, pauses=lacks))
    if foreign:
        told = {CURRENCY: told_in, "total": plain(snapshot.balance.total)}
        sights.append(Sight(Kind.BALANCE_GAP, "", BALANCE, None, None, told))
    explained = {d.symbol for d in books.standing if d.subject == POSITION} - {s.symbol for s in sights} - moving
    return Found(sights, moving, sums, _turned_up(books, snapshot), quiet, expected, stock and bool(explained))


def is_moving(order: Order) -> bool:
    """Whether what the venue holds may change by this order at any moment, without the market having to come to it."""
    changing = order.busy or order.cancel_wanted or order.wanted_quantity is not None
    # The engine watches it, or has tried it before: it may stay as it is for long.
    put_off = order.state is OrderStatus.CREATED and (order.attempts > 0 or (order.watched and not order.is_triggered))
    on_its_way = order.state in _ON_ITS_WAY and not put_off
    return changing or on_its_way or (order.state.is_open and order.type == OrderType.MARKET)


def unlisted(books: Books, orders: Iterable[OpenOrder]) -> list[Order]:
    """Those of our orders that should rest at the venue and that it does not list."""
    listed = {o.client_order_id for o in orders} | {o.venue_order_id for o in orders}
    resting = (o for o in books.orders if o.state.is_open and not (o.busy or o.cancel_wanted or o.wanted_quantity))
    return [o for o in resting if not {o.client_order_id, o.venue_order_id} & listed]


# --- Orders --------------------------------------------------------------------------------------


def _external_orders(books: Books, snapshot: Snapshot) -> list[Sight]:
    """Open at the venue and not in our books, or over in our books."""
    active = {o.client_order_id for o in books.orders} | {o.venue_order_id for o in books.orders if o.venue_order_id}
    kept = {d.subject for d in books.standing if d.state == State.KEPT}
    arriving = {books.symbols[o.instrument_id] for o in books.orders if o.state in _NOT_SEEN_YET}
    sights = []
    for order in snapshot.orders:
        known = books.named.get(order.client_order_id)
        mine = {order.client_order_id, order.venue_order_id} & active
        if mine or order.venue_order_id in kept or (known is not None and known.state is OrderStatus.REJECTED):
            continue
        if not order.client_order_id and order.symbol in arriving:
            continue  # it may be the very order that is on its way
        left = (order.quantity - order.filled) * order.side.sign
        sights.append(Sight(Kind.EXTERNAL_ORDER, order.symbol, order.venue_order_id, None, left, _terms(order, known)))
    return sights


def _terms(order: OpenOrder, known: Order | None) -> dict[str, str]:
    level = order.trigger if order.trigger is not None else order.price
    terms = {"side": order.side.value, "type": order.type.value, "level": "" if level is None else plain(level)}
    return terms | {"ours": "" if known is None else known.status, "venue_order_id": order.venue_order_id}


def _turned_up(books: Books, snapshot: Snapshot) -> list[OrderReport]:
    """Orders of ours that we had given up as never received, and that are open at the venue: they are adopted."""
    return [
        OrderReport(o.client_order_id, o.venue_order_id, OrderStatus.WORKING, o.quantity, o.filled, "", o.time)
        for o in snapshot.orders
        if (known := books.named.get(o.client_order_id)) is not None and known.state is OrderStatus.REJECTED
    ]


def _lost_orders(books: Books, snapshot: Snapshot) -> list[Sight]:
    """Acknowledged and not over, and the venue neither lists them nor knows them as over."""
    sights = []
    for order in books.orders:
        if order.pk not in snapshot.looked_up:
            continue
        said = snapshot.looked_up[order.pk]
        if said is not None and said.status.is_open:
            continue
        facts = {"side": order.side, "type": order.type, "leg": order.leg, "said": said.status.value if said else ""}
        left = order.quantity - order.filled
        symbol = books.symbols[order.instrument_id]
        sights.append(Sight(Kind.LOST_ORDER, symbol, order.client_order_id, left, ZERO, facts))
    return sights


def _changed_orders(books: Books, snapshot: Snapshot) -> list[Sight]:
    """Orders of ours that rest as somebody else has changed them: with another price or trigger, or another quantity."""
    ours = {o.client_order_id: o for o in books.orders} | {
        o.venue_order_id: o for o in books.orders if o.venue_order_id
    }
    sights = []
    for theirs in snapshot.orders:
        order = ours.get(theirs.client_order_id) or ours.get(theirs.venue_order_id)
        if order is None or not order.state.is_open or is_moving(order):
            continue
        level, placed = (
            (theirs.price, order.price) if theirs.type == OrderType.LIMIT else (theirs.trigger, order.trigger)
        )
        moved = level is not None and level != placed
        if not moved and theirs.quantity == order.quantity:
            continue
        numbers = (placed, level) if moved else (order.quantity, theirs.quantity)
        facts = {
            "side": order.side,
            "type": order.type,
            "leg": order.leg,
            "quantity": plain(order.quantity),
            "changed_quantity": plain(theirs.quantity),
            "changed_level": plain(level) if moved and level is not None else "",
            "keepable": "yes" if _keepable(order, theirs, moved=moved) else "",
        }
        sights.append(Sight(Kind.ORDER_CHANGED, theirs.symbol, order.client_order_id, *numbers, facts))
    return sights


def _keepable(order: Order, theirs: OpenOrder, *, moved: bool) -> bool:
    """Whether our books may take over what was changed. What protects covers the whole position, an entry is no larger than it was
    decided, and a ladder stays with its plan."""
    if Leg(order.leg) is Leg.ENTRY:
        return bool(order.filled < theirs.quantity <= order.quantity)
    return moved and bool(theirs.quantity == order.quantity) and not order.rung


# --- Positions -----------------------------------------------------------------------------------


def position_sums(books: Books, theirs: Sequence[NetPosition]) -> list[dict[str, Any]]:
    """Per symbol what our subscriptions hold, what is known to lie beside it (the user's own, dust), and what the venue holds; numbers as
    plain text."""
    held: dict[str, dict[int, Decimal]] = {}
    for position in books.positions:
        sign = 1 if position.direction == Direction.LONG else -1
        held.setdefault(books.symbols[position.instrument_id], {})[position.subscription_id] = sign * position.quantity
    own = dict(books.dust)
    for row in books.standing:
        if row.state == State.KEPT and row.subject == POSITION:
            own[row.symbol] = own.get(row.symbol, ZERO) + (row.theirs or ZERO) - (row.ours or ZERO)
    venue = {position.symbol: position.quantity for position in theirs}
    asked = {row.symbol for row in books.standing if row.state == State.OPEN and row.subject == POSITION}
    lines = []
    for symbol in sorted(held.keys() | own.keys() | venue.keys() | asked):
        parts = held.get(symbol, {})
        lines.append(
            {
                "symbol": symbol,
                "held": {str(key): plain(quantity) for key, quantity in sorted(parts.items())},
                "ours": plain(sum(parts.values(), ZERO)),
                "own": plain(own.get(symbol, ZERO)),
                "venue": plain(venue.get(symbol, ZERO)),
            }
        )
    return lines


def _position(books: Books, line: Mapping[str, Any], *, stock: bool) -> list[Sight]:
    symbol, theirs, own = line["symbol"], Decimal(line["venue"]), ZERO if stock else Decimal(line["own"])
    ours = Decimal(line["ours"]) + own
    standing = next((d for d in books.standing if d.place == (symbol, POSITION) and d.state == State.OPEN), None)
    foreign = None if standing is None else books.foreign.get(standing.pk)
    if (stock and theirs >= ours) or (foreign is None and theirs in (ours, Decimal(line["ours"]))):
        return []
    kind = position_kind(ours, theirs, foreign, own)
    told = "yes" if foreign is not None and foreign == theirs - ours else ""
    return [Sight(kind, symbol, POSITION, ours, theirs, {"told": told, **({STOCK: "yes"} if stock else {})})]


def position_kind(ours: Decimal, theirs: Decimal, foreign: Decimal | None, own: Decimal = ZERO) -> Kind:
    """What a gap between signed quantities looks like; `foreign` is what strangers' fills come to, None where none was told, and `own`
    that part of `ours` which lies beside our positions."""
    if ours == theirs:
        return Kind.UNKNOWN_FILL
    # What lies beside may lie the other way round: then the venue's number has another sign when all of ours is closed.
    if _is_less(theirs, ours) or _is_less(theirs - own, ours - own):
        explained = theirs in (0, own) or foreign == theirs - ours
        return Kind.MANUAL_CLOSE if explained else Kind.POSITION_SMALLER
    return Kind.POSITION_LARGER


def _is_less(theirs: Decimal, ours: Decimal) -> bool:
    """Whether, of what we hold, the venue holds a part or nothing."""
    return ours != 0 and abs(theirs) < abs(ours) and theirs * ours >= 0


# --- Money ---------------------------------------------------------------------------------------


def booked(books: Books) -> Decimal:
    """What trades since `base` was taken, and the closed part of open positions, brought after fees."""
    held = (books.closed.get(p.pk, ZERO) - p.fees + books.elsewhere.get(p.pk, ZERO) for p in books.positions)
    return books.earned + sum(held, ZERO)


def _expected(books: Books) -> Decimal | None:
    """What the venue should hold by our books; None where there is nothing yet to go by."""
    return None if books.look is None or books.look.base is None else books.look.base + booked(books)
