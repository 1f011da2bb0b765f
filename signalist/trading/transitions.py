"""The one way in which an order's status moves: through the core's table."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from signalist.domain.orders import OrderStatus, can_move, moved
from signalist.logs import plain_words
from signalist.trading.models import Order


def move(order: Order, to: OrderStatus, now: datetime, reason: str = "") -> None:
    """Move `order` (the caller saves it). Raises DomainError where the table has no such move."""
    order.status = moved(order.state, to).value
    order.updated_at = now
    if reason:
        order.reason = plain_words(reason)[:200]  # much of it is what a venue says
    if to.is_final:
        order.cancel_wanted, order.wanted_quantity, order.busy, order.not_before = False, None, False, None
        order.wanted_trigger = None


def move_if_allowed(order: Order, to: OrderStatus, now: datetime, reason: str = "") -> bool:
    """Move `order` where the table allows it; a report that comes late or twice changes nothing."""
    if not can_move(order.state, to):
        return False
    move(order, to, now, reason)
    return True


def want_cancelled(order: Order) -> None:
    """Ask for an order that has left to be cancelled; one that is in doubt is looked for and cancelled at once, however long that is."""
    order.cancel_wanted = True
    if order.state is OrderStatus.UNKNOWN:
        order.not_before = None


def take_quantity(order: Order, quantity: Decimal, now: datetime) -> None:
    """The venue was sent less than the order says: it is filled when that is."""
    if quantity < order.quantity:
        order.quantity = quantity
        if order.filled >= quantity:
            move_if_allowed(order, OrderStatus.FILLED, now)


ORDER_STATE = (
    "status",
    "quantity",
    "wanted_quantity",
    "trigger",
    "wanted_trigger",
    "cancel_wanted",
    "reason",
    "looks",
    "busy",
    "not_before",
    "updated_at",
)
"""The columns of an order that any stage may change: what is asked of it and where it stands."""

ORDER_GUARDING = (*ORDER_STATE, "type", "watched", "price_at", "reference_price")
"""What looking after a position's stop and targets writes."""

ORDER_SENT = (*ORDER_STATE, "attempts", "sender", "reaction_ms")
"""What sending writes. Columns that are not named are not written, nor are their indexes."""

ORDER_ANSWERED = (*ORDER_STATE, "venue_order_id", "setbacks")
ORDER_FILLED = (*ORDER_ANSWERED, "superseded", "filled", "filled_value", "fees")
"""What an answer, and what a venue's report writes."""
