"""What a look at an account comes to, written into the rows: differences that lasted, those that are over, and the look itself.

Called inside the transaction of the stage `compare`, with the account locked and its books as they were when the venue was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import ZERO, plain
from signalist.domain.orders import Leg, OrderStatus
from signalist.execution import held_exits
from signalist.trading import naming, noting, stop_tries
from signalist.trading.comparing import SETTLED, Books, Found, Sight, Snapshot, booked
from signalist.trading.discrepancies import BALANCE, POSITION, UNREAD, AccountLook, Discrepancy, Kind, State
from signalist.trading.folding import fold_orders
from signalist.trading.misfits import fold_each
from signalist.trading.models import Order
from signalist.trading.reservations import release_reservations
from signalist.trading.transitions import ORDER_STATE, move
from signalist.venues.base import Capabilities

LOOKS = 3
"""So many looks must see the same before it is a difference; of an order that is not found, one more than the venue itself asks for."""
APART = timedelta(seconds=2)
"""Looks that come sooner after each other count as one: a line that is interrupted has its account looked at again at once, and what the
venue has not told yet it tells no sooner for that."""
_LOOK = "looked_at agrees sums orders total base booked_through".split()
LOST = "the venue does not know it any more"

Place = tuple[str, str]


@dataclass(slots=True)
class Verdict:
    """What was seen and is no difference yet: place → numbers, how often, and when that counted last. `looks_again` where the next look
    should come soon."""

    suspected: dict[Place, tuple[Any, int, datetime]] = field(default_factory=dict)
    looks_again: bool = False


def take_news(account: Account, snapshot: Snapshot, now: datetime) -> bool:
    """Fold what the venue reported during a look, as any report; whether there was anything. The account's cursor must be where it was."""
    if not snapshot.news.fills and not snapshot.news.orders:
        return False
    if naming.waiting({account.pk: snapshot.news}, now):
        return True  # it is read again when it is known whose it is
    fold_each({account.pk: snapshot.news}, {account.pk: account}, now)
    ring_on_commit("protect", "measure", "decide", "place")
    return True


def judge(
    account: Account,
    books: Books,
    snapshot: Snapshot,
    found: Found,
    before: Verdict | None,
    abilities: Capabilities,
    now: datetime,
) -> Verdict:
    """Write what this look comes to; returns what the next one of the same engine has to know."""
    if found.turned_up:
        fold_orders(found.turned_up, {account.pk: account}, now)
        ring_on_commit("protect", "place")
    standing = {row.place: row for row in books.standing if row.state == State.OPEN}
    verdict = Verdict(looks_again=bool(found.sights or found.turned_up or standing))
    known = before.suspected if before is not None else {}
    seen, fresh = [], []
    for sight in _explained(found.sights, snapshot):
        row = standing.get(sight.place)
        if row is not None and _is_same(row, sight):
            noting.seen_again(row, sight, now)
            seen.append(row)
            continue
        numbers, looks, counted = known.get(sight.place, (None, 0, now))
        if numbers != sight.numbers:
            looks, counted = 1, now
        elif now - counted >= APART:
            looks, counted = looks + 1, now
        needed = max(LOOKS, abilities.looks + 1) if sight.kind is Kind.LOST_ORDER else LOOKS
        if looks < needed or row is not None:  # one of another kind, which is over before that
            verdict.suspected[sight.place] = (sight.numbers, looks, counted)
        elif not _is_settled(sight, books, snapshot, account, now):
            fresh.append((sight, looks))
    _open(account, fresh, books, now)
    noting.save_seen(seen)
    _close_what_is_over(books, found, now)
    return verdict


def _is_same(row: Discrepancy, sight: Sight) -> bool:
    """Whether a row is about what is seen. Of a position or the money whatever differs; of an order one that was in doubt, or changed, is
    not lost because of that."""
    return row.place == sight.place and (row.kind == sight.kind or row.subject in (POSITION, BALANCE))


def _explained(sights: Sequence[Sight], snapshot: Snapshot) -> list[Sight]:
    """The same, and where the venue's history was not read as far back as was wanted, that this may be why."""
    until = snapshot.news.unread_until
    if until is None:
        return list(sights)
    why = {UNREAD: until.isoformat(timespec="seconds")}
    resting = (Kind.EXTERNAL_ORDER, Kind.ORDER_CHANGED)
    return [one if one.kind in resting else replace(one, facts={**one.facts, **why}) for one in sights]


def _is_settled(sight: Sight, books: Books, snapshot: Snapshot, account: Account, now: datetime) -> bool:
    """Whether an order that the venue does not list is over by the venue's own word, which then is taken as any report."""
    if sight.kind is not Kind.LOST_ORDER:
        return False
    order = next(order for order in books.orders if order.client_order_id == sight.subject)
    said = snapshot.looked_up[order.pk]
    if said is None or said.status not in (OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED):
        return False
    fold_orders([said], {account.pk: account}, now)
    ring_on_commit("protect", "decide", "place")
    return True


def _open(account: Account, fresh: Sequence[tuple[Sight, int]], books: Books, now: datetime) -> None:
    if not fresh:
        return
    known = noting.markets(account.venue, {sight.symbol for sight, _ in fresh if sight.symbol})
    rows = [noting.begun(account, sight, known.get(sight.symbol), looks, now) for sight, looks in fresh]
    lost = {row.subject: row for row in rows if row.kind == Kind.LOST_ORDER}
    replaced = [o for o in books.orders if o.client_order_id in lost and Leg(o.leg).protects]
    for order in replaced:
        lost[order.client_order_id].facts["replaced"] = "yes"
    noting.store(rows)
    write_off(replaced, LOST, now)


def write_off(orders: Sequence[Order], reason: str, now: datetime) -> None:
    """Count orders as never there, or their rest as cancelled, so that what they protected gets others; one that turns up after that is
    taken down, or asked about."""
    if not orders:
        return
    current = fast.select_ids(Order, sorted(order.pk for order in orders), lock="update")
    for order in current:
        # One that has filled in part was there: it is its rest that is over.
        was_there = order.filled > 0 or order.state is OrderStatus.PARTIAL
        move(order, OrderStatus.CANCELLED if was_there else OrderStatus.REJECTED, now, reason)
    fast.update(current, ORDER_STATE)
    release_reservations([order for order in current if order.leg == Leg.ENTRY])
    stop_tries.look_after(current, now)
    ring_on_commit("protect", "place")


def _close_what_is_over(books: Books, found: Found, now: datetime) -> None:
    over = [
        row
        for row in books.standing
        if row.state == State.OPEN
        and not any(_is_same(row, sight) for sight in found.sights)
        and _is_over(row, books, found)
    ]
    noting.close(over, State.GONE, "the venue and our books agree again", now)
    agreeing = {line["symbol"] for line in found.sums if line["ours"] == line["venue"]} - found.moving
    unkept = [row for row in books.standing if row.state == State.KEPT and row.subject == POSITION]
    noting.close(
        [row for row in unkept if row.symbol in agreeing],
        State.GONE,
        "the venue holds nothing beyond ours any more",
        now,
    )
    if over:
        ring_on_commit("decide")


def _is_over(row: Discrepancy, books: Books, found: Found) -> bool:
    """Whether a look that did not see it could have seen it."""
    if row.kind == Kind.ORDER_IN_DOUBT:
        return not any(o.client_order_id == row.subject and o.state is OrderStatus.UNKNOWN for o in books.orders)
    if row.kind == Kind.EXIT_HELD:
        return held_exits.is_over(row, books.orders)
    if row.subject == BALANCE:
        return found.balance_compared
    if row.kind == Kind.LOST_ORDER:
        return not row.facts.get("replaced")
    return row.symbol not in found.moving


def note_look(look: AccountLook, books: Books, snapshot: Snapshot, found: Found, through: int, now: datetime) -> None:
    """The look for the account's page; and where all is explained, the money that the next one goes by. `through` is the newest trade."""
    settled = {line["symbol"]: line[SETTLED] for line in look.sums if SETTLED in line}
    for line in found.sums:
        if line["symbol"] not in found.moving:
            line[SETTLED] = plain(Decimal(line["venue"]) - Decimal(line["ours"]))
        elif line["symbol"] in settled:
            line[SETTLED] = settled[line["symbol"]]
    look.looked_at, look.sums, look.orders = now, found.sums, len(snapshot.orders)
    look.agrees = not found.sights
    if snapshot.balance.currency in ("", books.currency):
        look.total = snapshot.balance.total
    differs = any(sight.subject == BALANCE for sight in found.sights)
    if found.balance_compared and not differs:
        look.base, look.booked_through = _base(snapshot.balance.total, books), through
    elif found.beside or any(row.subject == POSITION and row.state == State.KEPT for row in books.standing):
        look.base = None  # what the user trades beside us comes and goes with the same money


def store_looks(looks: Sequence[AccountLook]) -> None:
    """Write looks, in two statements however many."""
    fast.insert([look for look in looks if look.pk is None])
    fast.update([look for look in looks if look.pk is not None], _LOOK)


def _base(total: Decimal, books: Books) -> Decimal:
    open_part = replace(books, orders=(), standing=(), look=None, earned=ZERO)
    return total - booked(open_part)
