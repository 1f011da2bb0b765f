"""What somebody had in hand who works on it no more: orders that were being sent, cancelled or amended, of accounts that change hands."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import ACTIVE, OrderStatus
from signalist.execution import leases
from signalist.trading.models import STILL_ACTIVE, Order, Position
from signalist.trading.transitions import ORDER_STATE, move


def take_over(account_ids: Collection[int], engine: uuid.UUID, now: datetime, under_way: Collection[int] = ()) -> int:
    """Begin with accounts that were another engine's: what it had in hand there is in doubt, and all protection is looked at before
    anything new. `under_way` as in `orphaned`: what was lost and has come back. Returns how many orders are in doubt or asked again."""
    if not account_ids:
        return 0
    found = orphaned(engine, now, account_ids, under_way)
    with unit("reconcile.take_over"):
        Position.objects.filter(is_open=True, account__in=account_ids).update(protection_due=True, bare_since=None)
        ring_on_commit("look_up", "protect", "measure", "decide", "place", "fan_out")
    return found


def orphaned(
    engine: uuid.UUID, now: datetime, account_ids: Collection[int] | None = None, under_way: Collection[int] = ()
) -> int:
    """Orders of these accounts (None: of all that `engine` holds) that somebody had in hand who works on them no more: being sent is in
    doubt, being cancelled or amended is asked again. `under_way` are those that this engine itself has in hand."""
    held, parameters = leases.of(engine)
    condition = f"(busy OR status = 'SENDING') AND {STILL_ACTIVE} AND {held}"
    for wanted, column, ids in (("", "account_id", account_ids), ("NOT", "id", under_way or None)):
        if ids is not None:
            # What is under way is not even read: in the middle of a fan-out that is a thousand orders, at every poll.
            among, values = fast.among(column, sorted(ids))
            condition, parameters = f"{condition} AND {wanted} ({among})", [*parameters, *values]
    with unit("reconcile.orphaned"):
        orders = fast.select(Order, f"{condition} ORDER BY id", parameters, lock="update")
        for order in orders:
            order.busy = False
            if order.state is OrderStatus.SENDING:
                move(order, OrderStatus.UNKNOWN, now, "whoever was sending it is gone")
        fast.update(orders, ORDER_STATE)
        if orders:
            ring_on_commit("look_up", "place")
    return len(orders)


def accounts_to_watch(engine: uuid.UUID) -> list[int]:
    """The accounts of this engine with something at their venue: an order under way or an open position."""
    active = [s.value for s in ACTIVE]
    with_orders = Order.objects.filter(status__in=active, account__lease_owner=engine).values_list(
        "account_id", flat=True
    )
    with_positions = Position.objects.filter(is_open=True, account__lease_owner=engine)
    return sorted(set(with_orders) | set(with_positions.values_list("account_id", flat=True)))
