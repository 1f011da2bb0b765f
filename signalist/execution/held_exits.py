"""Exits that do not leave for long, found again and again: nothing rings for time that passes.

An exit is held back by design while something before it is in doubt at a venue that knows no ids of ours, and it is put off as often as its
venue is busy or refuses it: neither has an end of its own. The position stays open meanwhile, so somebody is told after the time after
which they are told of doubt: a difference, whose event is the alarm, and which is on the account's page until the exit has left.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.domain.orders import Leg, Side
from signalist.execution import leases
from signalist.execution.doubts import ALARM
from signalist.markets.selectors import instruments
from signalist.trading import noting
from signalist.trading.comparing import Sight
from signalist.trading.discrepancies import Discrepancy, Kind, State
from signalist.trading.models import STILL_ACTIVE, Order

REFUSED = 3
"""So many orders of one exit that the venue has refused, and it is told at once."""
NOTHING_THERE = "The venue holds nothing that a repeated exit could close."
"""Said of an exit for which there is nothing left: it is not held back, and the next comparison makes a difference of what is gone."""
# What closes a position and has not reached its venue: exits, and stops and targets that the engine watched and the market has reached.
_HELD = (
    f"{STILL_ACTIVE} AND status = 'CREATED' AND position_id IS NOT NULL AND {{mine}} AND"
    f" ((leg = 'EXIT' AND (created_at <= %s OR n >= {REFUSED})) OR (leg <> 'EXIT' AND price_at <= %s)) ORDER BY id"
)


def tell_held(now: datetime, engine: uuid.UUID | None = None) -> int:
    """Open a difference for each exit that has not left for long, of the accounts that `engine` holds (None: of all), once; returns how
    many. One query, and no transaction, where there is none."""
    held, holder = leases.of(engine)
    since = fast.prepared(Order, "created_at", now - ALARM)
    found = fast.select(Order, _HELD.format(mine=held), [*holder, since, since])
    found = [order for order in found if NOTHING_THERE not in order.reason]
    if not found or not _untold(found):
        return 0
    with unit("protect.held_exits"):
        locked = fast.select_ids(Account, sorted({order.account_id for order in found}), lock="update")
        accounts = leases.mine(locked, engine)
        current = fast.select_ids(Order, [order.pk for order in found], "status = 'CREATED'")
        untold = _untold([order for order in current if order.account_id in accounts])
        known = instruments({order.instrument_id for order in untold})
        rows = [_row(o, known[o.instrument_id].symbol, accounts[o.account_id], now) for o in untold]
        noting.store(rows)
    return len(rows)


def _untold(orders: Sequence[Order]) -> list[Order]:
    """The oldest of each exit's orders of which no difference is open."""
    standing = noting.standing(sorted({order.account_id for order in orders}))
    known = {(row.account_id, row.subject) for rows in standing.values() for row in rows if row.state == State.OPEN}
    first: dict[tuple[int, str], Order] = {}
    for order in orders:
        first.setdefault((order.account_id, subject(order)), order)
    return [order for place, order in first.items() if place not in known]


def subject(order: Order) -> str:
    """What the difference about a held exit is about: its position, whichever of its orders it is that does not leave."""
    return f"exit:{order.position_id}"


def is_over(row: Discrepancy, orders: Sequence[Order]) -> bool:
    """Whether nothing that is to leave the row's position is held back any more, by the account's active orders."""
    leaving = (o for o in orders if subject(o) == row.subject and (o.leg == Leg.EXIT or o.is_triggered))
    return not any(order.status == "CREATED" for order in leaving)


def _row(order: Order, symbol: str, account: Account, now: datetime) -> Discrepancy:
    left = (order.quantity - order.filled) * Side(order.side).sign
    facts = {
        "side": order.side,
        "type": order.type,
        "leg": order.leg,
        "reason": order.reason,
        "tries": str(order.attempts),
    }
    facts |= {"since": (order.price_at or order.created_at).isoformat(timespec="seconds"), "n": str(order.n)}
    sight = Sight(Kind.EXIT_HELD, symbol, subject(order), left, None, facts, pauses=False)
    return noting.begun(account, sight, order.instrument_id, max(order.attempts, 1), now)
