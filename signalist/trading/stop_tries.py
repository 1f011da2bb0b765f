"""Tries of a stop that came to nothing: counted on their position until one stands, whoever learns of them, and paused between.

A try has failed when its order ended without having protected anything: refused in the venue's answer, reported or found as rejected or
expired, never received, or lost at the venue. What the venue cancels unasked is counted beside it (`Position.lost_stops`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.orders import Leg, OrderStatus
from signalist.trading.models import Order, Position

MAX_TRIES = 3
"""So many tries in a row that failed, and the position is closed at market (CON-31)."""
BARE_FOR = timedelta(seconds=30)
"""So long a position stands without a stop that works, and it is closed at market; twice as long with each time that failed, too."""
STOOD = timedelta(minutes=1)
"""A stop that stood for so long has worked: what failed before it is forgotten, and what ends it is a first failure."""
SEEN_AFTER = timedelta(seconds=10)
"""So long a try may be on its way before its position counts as bare; a fan-out of thousands takes less."""
LONGEST_PAUSE = 60
_MOST_DOUBLINGS = 4
_FAILED = (OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.EXPIRED)

STOP_TRIES = ("refused_stops", "bare_since")
"""The columns of a position that counting writes."""


def has_failed(order: Order) -> bool:
    """Whether the order, which has just ended, was a try of a stop that failed; one that another had replaced is none."""
    return order.leg == Leg.STOP and order.state in _FAILED and not order.superseded


def count(position: Position, order: Order, now: datetime) -> None:
    """Count a try of the position's stop that has failed."""
    acknowledged = bool(order.venue_order_id)
    stood = acknowledged and stood_for(position, order, now) > STOOD
    position.refused_stops = 1 if stood else min(position.refused_stops + 1, 1000)
    if position.bare_since is None or stood:
        # What an engine left behind that was away for long is tried again before it is counted as overdue.
        position.bare_since = now if acknowledged else max(order.created_at, now - SEEN_AFTER)


def stood_for(position: Position, order: Order, now: datetime) -> timedelta:
    """How long a stop that the venue had taken has stood at the most: what it waited for its turn, before it was sent, is none of it."""
    return now - order.created_at - pause(position)


def count_all(orders: Sequence[Order], positions: Sequence[Position], now: datetime) -> None:
    """Count those of these orders, which have just ended, that were tries of the stops of these positions."""
    of = {position.pk: position for position in positions}
    for order in orders:
        position = of.get(order.position_id or 0)
        if position is not None and has_failed(order):
            count(position, order, now)


def look_after(orders: Sequence[Order], now: datetime) -> None:
    """Have the positions of these orders, which have just ended, looked after, and count the stops among them. Two statements, none
    where no order has a position; within a unit that has locked their accounts."""
    ids = sorted({order.position_id for order in orders if order.position_id})
    positions = fast.select_ids(Position, ids, lock="update")
    count_all(orders, positions, now)
    for position in positions:
        position.protection_due = True
    fast.update(positions, ("protection_due", *STOP_TRIES))


def start_anew(account: Account) -> None:
    """Have the open positions of an account, whose row is locked, looked after as if nothing had failed, and what waits sent now."""
    Position.objects.filter(account=account, is_open=True).update(protection_due=True, refused_stops=0, bare_since=None)
    waiting = Order.objects.filter(account=account, status=OrderStatus.CREATED.value, not_before__isnull=False)
    waiting.exclude(leg=Leg.ENTRY.value).update(not_before=None)


def stands(stop: Order | None) -> bool:
    """Whether a stop protects: it rests at the venue, or the engine watches it or has sent it. One that the venue had acknowledged before
    it came into doubt is believed to stand."""
    if stop is None:
        return False
    if stop.watched or stop.is_triggered or stop.state.is_open:
        return True
    return stop.state is OrderStatus.UNKNOWN and bool(stop.venue_order_id)


def note(position: Position, stop: Order | None, now: datetime) -> None:
    """Note of an open position since when it stands without a stop. What failed before one that has stood for `STOOD` is forgotten."""
    if stop is None or not stands(stop):
        if position.bare_since is None and stop is not None and _is_late(stop, now):
            position.bare_since = now - SEEN_AFTER
        return
    position.bare_since = None
    if position.refused_stops and now - stop.updated_at >= STOOD:
        position.refused_stops = 0


def _is_late(stop: Order, now: datetime) -> bool:
    """Whether it has been tried, and for long; what nobody has tried to send yet is not late but waits for its engine."""
    tried = stop.attempts > 0 or stop.state is not OrderStatus.CREATED
    return tried and now - stop.created_at >= SEEN_AFTER


def why_close(position: Position, stop: Order | None, now: datetime) -> str:
    """Why the position, whose `stop` this is, has to be closed at market; "" where it has not. As `note` has left it."""
    if position.stop is None or stands(stop):
        return ""
    if position.refused_stops >= MAX_TRIES:
        return f"the stop was refused {position.refused_stops} times"
    since = position.bare_since
    longest = BARE_FOR * 2 ** min(position.exit_rounds, _MOST_DOUBLINGS)
    if since is not None and now - since >= longest:
        return f"no stop could be placed for {int((now - since).total_seconds())} seconds"
    return ""


def pause(position: Position) -> timedelta:
    """Until the next try of the position's stop: none after the first failure, then 2, 4, 8 seconds and so on, a minute at most."""
    failed = position.refused_stops + MAX_TRIES * position.exit_rounds
    return timedelta(
        seconds=0 if failed < 2 or not position.refused_stops else min(2 ** min(failed - 1, 6), LONGEST_PAUSE)
    )


def pause_of_exit(n: int) -> timedelta:
    """Until the n-th order (from 0) of an exit may go: the first repetition at once, the next after 2, 4 and 8 seconds."""
    return timedelta(seconds=0 if n < 2 else min(2 ** (n - 1), LONGEST_PAUSE))
