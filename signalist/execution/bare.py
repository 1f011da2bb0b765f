"""Positions that stand without a stop that works, found again and again: nothing rings for time that passes."""

from __future__ import annotations

import uuid
from datetime import datetime

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.execution import leases
from signalist.trading.models import STILL_ACTIVE, Order, Position
from signalist.trading.stop_tries import SEEN_AFTER

_COUNTING = "is_open AND NOT protection_due AND (refused_stops > 0 OR bare_since IS NOT NULL) AND {mine}"
# A stop that nobody has tried to send yet is not late: it waits for this engine. One that was acknowledged is believed to stand.
_LATE = (
    f"{STILL_ACTIVE} AND leg = 'STOP' AND NOT watched AND created_at <= %s AND position_id IS NOT NULL AND {{mine}} AND"
    " (status = 'SENDING' OR (status = 'CREATED' AND attempts > 0) OR (status = 'UNKNOWN' AND venue_order_id = ''))"
)


def look_at_bare(now: datetime, engine: uuid.UUID | None = None) -> int:
    """Have the positions looked after whose stop failed or is late, of the accounts that `engine` holds (None: of all); returns how many.
    Two queries, and no transaction where there is none."""
    held, holder = leases.of(engine)
    ids: set[int] = {p.pk for p in fast.select(Position, _COUNTING.format(mine=held), holder)}
    late = fast.select(Order, _LATE.format(mine=held), [fast.prepared(Order, "created_at", now - SEEN_AFTER), *holder])
    ids |= {order.position_id for order in late if order.position_id}
    if not ids:
        return 0
    with unit("protect.bare"):
        found = fast.select_ids(Position, sorted(ids), "is_open AND NOT protection_due")
        locked = fast.select_ids(Account, sorted({position.account_id for position in found}), lock="update")
        accounts = leases.mine(locked, engine)
        mine = [p.pk for p in found if p.account_id in accounts]
        positions = fast.select_ids(Position, mine, "is_open AND NOT protection_due", lock="update")
        for position in positions:
            position.protection_due = True
        fast.update(positions, ("protection_due",))
        if positions:
            ring_on_commit("protect")
    return len(positions)
