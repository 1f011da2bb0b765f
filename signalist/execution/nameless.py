"""Orders in doubt at venues where they have no name of ours: found again in the venue's history, or by what it holds, or not at all.

A look asks for all orders since the attempt and for the position. One order there that nobody has, with the terms of ours and made when
ours was sent, is ours. None, at several looks after the venue's time to carry it out was over, with a position that is where it was: it
never arrived. Several: the account is halted and a person is asked. Nothing is guessed, and nothing is sent again.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.domain.orders import Leg, OrderType, Side
from signalist.events.outbox import emit
from signalist.execution import doubts
from signalist.execution.sides import books_of
from signalist.execution.turns import BESIDE
from signalist.failpoints import failpoint
from signalist.trading import naming, noting
from signalist.trading.comparing import Sight, position_sums
from signalist.trading.discrepancies import Discrepancy, ForeignFill, Kind
from signalist.trading.halting import halted
from signalist.trading.models import AttemptAction, Order, OrderAttempt
from signalist.trading.transitions import ORDER_STATE
from signalist.venues.base import Capabilities, NetPosition, OrderReport, PastOrder, Session, TellsHistory
from signalist.venues.errors import CannotKnow

CLOCK_ERROR = timedelta(seconds=5)
"""So far apart the venue's clock and ours may be."""
ASKED = "several orders at the venue may be ours; say what is to be done and resume"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a venue says when it is asked for an order that has no name there: its orders since the attempt, and its positions."""

    history: tuple[PastOrder, ...]
    positions: tuple[NetPosition, ...]


@dataclass(slots=True)
class Resolved:
    """What sightings come to: orders that were `found`, under our ids, and the ids of those that a look has not found."""

    found: list[OrderReport] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)


def has_no_name(order: Order) -> bool:
    """Whether it was sent to a venue that knows no ids of ours, and has not told its own."""
    return order.nameless and not order.venue_order_id


# --- Network -------------------------------------------------------------------------------------


async def sighted(session: Session, order: Order) -> Sighting:
    """Ask the venue what may be of `order`, whose instrument is at hand. Raises VenueError."""
    if not isinstance(session, TellsHistory):
        raise CannotKnow("The venue tells no history of its orders.")
    since = order.created_at - CLOCK_ERROR
    failpoint("nameless.call")
    history = await session.history(order.instrument.symbol, since)
    positions = await session.positions()
    failpoint("nameless.called")
    return Sighting(history, positions)


# --- Rows ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What our side knows: whose the venue's orders are, what was asked of people, the attempts, and what is held and was told."""

    ours: Collection[tuple[int, str]]
    questions: Mapping[str, Discrepancy]
    attempts: Mapping[int, OrderAttempt]
    books: Mapping[int, Mapping[str, Decimal]]
    told: Mapping[int, Sequence[ForeignFill]]


def resolve(
    sightings: Sequence[tuple[Order, Sighting]],
    accounts: Mapping[int, Account],
    abilities: Mapping[int, Capabilities],
    now: datetime,
    engine: uuid.UUID | None,
) -> Resolved:
    """Judge sightings, inside one transaction with the accounts locked; `abilities` by account. A constant number of queries."""
    resolved = Resolved()
    seen = {order.pk: sighting for order, sighting in sightings}
    orders = fast.select_ids(Order, sorted(seen), "status = 'UNKNOWN' AND venue_order_id = ''", lock="update")
    if not orders:
        return resolved
    instrument = {order.pk: order.instrument for order, _ in sightings}
    known = _known(orders, [seen[order.pk] for order in orders], engine)
    later, asked = [], []
    for order in orders:
        order.instrument, venue, sighting = instrument[order.pk], abilities[order.account_id], seen[order.pk]
        question = known.questions.get(order.client_order_id)
        candidates = _candidates(order, sighting, known, venue, question is not None)
        ends = known.attempts[order.pk].sent_at + timedelta(seconds=venue.answer_within)
        if len(candidates) == 1:
            resolved.found.append(_report(order, candidates[0]))
            continue
        if not candidates and now >= ends and _untouched(order, sighting, known):
            resolved.missing.append(order.pk)
            continue
        if len(candidates) > 1:
            asked.append((order, candidates))
        order.not_before = now + doubts.pause(order, venue.look_interval, now)
        if now < ends:
            order.not_before = min(order.not_before, ends)
        later.append(order)
    fast.update(later, ORDER_STATE)
    for order, candidates in asked:
        _ask(order, candidates, accounts[order.account_id], known.questions.get(order.client_order_id), now)
    doubts.tell([order for order in later if order.pk not in {one.pk for one, _ in asked}], accounts, now)
    return resolved


def _known(orders: Sequence[Order], sightings: Sequence[Sighting], engine: uuid.UUID | None) -> _Known:
    ids = sorted({order.account_id for order in orders})
    placings = fast.select_ids(
        OrderAttempt,
        [order.pk for order in orders],
        f"action = '{AttemptAction.PLACE.value}'",
        column="order_id",
    )
    told: dict[int, list[ForeignFill]] = defaultdict(list)
    for fill in fast.select_ids(ForeignFill, ids, column="account_id"):
        told[fill.account_id].append(fill)
    books: dict[int, dict[str, Decimal]] = {}
    for key, (_, found) in books_of(ids, engine).items():
        books[key] = {line["symbol"]: Decimal(line["ours"]) for line in position_sums(found, ())}
    return _Known(
        ours=naming.known({past.venue_order_id for said in sightings for past in said.history}).keys(),
        questions=naming.questioned(ids),
        attempts={attempt.order_id: attempt for attempt in placings},
        books=books,
        told=told,
    )


def _candidates(
    order: Order, sighting: Sighting, known: _Known, venue: Capabilities, was_asked: bool
) -> list[PastOrder]:
    """The venue's orders that may be ours. After a person was asked, one that is over and has filled nothing is none any more."""
    sent = known.attempts[order.pk].sent_at
    begin, end = sent - CLOCK_ERROR, sent + timedelta(seconds=venue.answer_within) + CLOCK_ERROR
    return [
        past
        for past in sighting.history
        if begin <= past.time <= end
        and (order.account_id, past.venue_order_id) not in known.ours
        and _is_alike(past, order)
        and not (was_asked and past.status.is_final and not past.filled)
    ]


def _is_alike(past: PastOrder, order: Order) -> bool:
    """Whether it has the terms that ours was sent with."""
    level = None if order.is_triggered else order.trigger
    terms = (order.instrument.symbol, Side(order.side), OrderType(order.type), order.price, level, order.reduce_only)
    if (past.symbol, past.side, past.type, past.price, past.trigger, past.reduce_only) != terms:
        return False
    # What closes at market may have been sent for no more than the venue still held (`place`).
    less = order.leg == Leg.EXIT or order.is_triggered
    return past.quantity == order.quantity or (less and past.quantity < order.quantity)


def _untouched(order: Order, sighting: Sighting, known: _Known) -> bool:
    """Whether the venue holds what it would hold without this order: our books, what lay beside them when it was sent, and what orders
    have filled since that its history tells, none of which can be ours."""
    symbol, attempt = order.instrument.symbol, known.attempts[order.pk]
    holds = sum((position.quantity for position in sighting.positions if position.symbol == symbol), ZERO)
    since, theirs = attempt.sent_at - CLOCK_ERROR, {past.venue_order_id for past in sighting.history}
    told = [f for f in known.told.get(order.account_id, ()) if f.symbol == symbol and f.time >= since]
    others = sum((Side(f.side).sign * f.quantity for f in told if f.venue_order_id in theirs), ZERO)
    beside = Decimal(attempt.request.get(BESIDE, "0"))
    return holds == known.books.get(order.account_id, {}).get(symbol, ZERO) + beside + others


def _report(order: Order, past: PastOrder) -> OrderReport:
    return OrderReport(
        order.client_order_id, past.venue_order_id, past.status, past.quantity, past.filled, "", past.time
    )


def _ask(
    order: Order, candidates: Sequence[PastOrder], account: Account, question: Discrepancy | None, now: datetime
) -> None:
    """Halt the account and ask whoever owns it, once for the same candidates."""
    names = ", ".join(sorted(past.venue_order_id for past in candidates))
    if question is not None and question.facts[naming.CANDIDATES] == names:
        return
    left = (order.quantity - order.filled) * Side(order.side).sign
    facts = {"side": order.side, "type": order.type, "leg": order.leg, naming.CANDIDATES: names}
    sight = Sight(Kind.ORDER_IN_DOUBT, order.instrument.symbol, order.client_order_id, left, None, facts)
    rows = noting.standing([account.pk])[account.pk]
    row = next((row for row in rows if row.place == sight.place and row.state == "OPEN"), None)
    if row is None:
        noting.store([noting.begun(account, sight, order.instrument_id, max(order.looks, 1), now)])
    else:
        noting.seen_again(row, sight, now)
        noting.save_seen([row])
    fact = halted(account, ASKED, now)
    if fact is not None:
        fast.update([account], ("state", "state_reason"))
        emit([fact])
