"""What is done about an order of ours that somebody has changed at its venue: our books follow it, or it is taken down.

Called inside one transaction with the account locked.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import Leg, OrderType
from signalist.trading.discrepancies import Answer, Discrepancy
from signalist.trading.models import Order, Position

MOVING = "The order is over, or is being changed by us. The next looks show how it stands."


def settle_changed(row: Discrepancy, now: datetime) -> str:
    """Do what was answered; returns why it could not be done, empty where it was. What protects is placed anew by `protect` when it is
    down."""
    if row.answer not in (Answer.KEEP, Answer.CANCEL):
        return ""
    found = fast.select_ids(
        Order, [row.subject], "status IN ('WORKING', 'PARTIAL')", column="client_order_id", lock="update"
    )
    orders = [
        o for o in found if o.account_id == row.account_id and not (o.busy or o.cancel_wanted or o.wanted_quantity)
    ]
    if not orders:
        return MOVING
    for order in orders:
        order.updated_at = now
        if row.answer == Answer.CANCEL:
            order.cancel_wanted = True
        else:
            _follow(order, row)
    fast.update(orders, ("price", "trigger", "quantity", "cancel_wanted", "updated_at"))
    ring_on_commit("place", "protect")
    return ""


def _follow(order: Order, row: Discrepancy) -> None:
    """Our books, from now on, have the order as it rests; where it protects, its position has the level."""
    order.quantity = Decimal(row.facts["changed_quantity"])
    if not row.facts["changed_level"]:
        return
    level = Decimal(row.facts["changed_level"])
    if order.type == OrderType.LIMIT:
        order.price = level
        return
    order.trigger = level
    for position in fast.select_ids(Position, [order.position_id] if order.position_id else [], lock="update"):
        if order.leg == Leg.STOP:
            position.stop = level
        else:
            position.target = level
        position.protection_due = True
        fast.update([position], ("stop", "target", "protection_due"))
