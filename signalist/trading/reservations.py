"""Money that is promised to entries, given back when it is no longer needed."""

from __future__ import annotations

from collections.abc import Sequence

from signalist.db import fast
from signalist.domain.money import ZERO, settle
from signalist.trading.models import Order, Reservation


def release_reservations(entries: Sequence[Order]) -> None:
    """Give back what entries no longer need: all once they are done, the filled share before that (the venue has locked it)."""
    if not entries:
        return
    by_id = {order.pk: order for order in entries}
    changed = []
    for held in fast.select_ids(Reservation, sorted(by_id), "NOT released", column="order_id"):
        order = by_id[held.order_id]
        if order.state.is_final:
            held.released = True
        elif order.filled > 0 and order.reference_price is not None:
            left = order.quantity - order.filled
            held.amount = settle(held.amount * left * order.reference_price / held.notional) if held.notional else ZERO
            held.notional = settle(left * order.reference_price)
        else:
            continue
        changed.append(held)
    fast.update(changed, ("released", "amount", "notional"))
