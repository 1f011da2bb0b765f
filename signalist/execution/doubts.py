"""Orders in doubt: how long until the next look, and when somebody is told. Called inside one transaction with the accounts locked.

An order is in doubt since it became UNKNOWN (`updated_at`). The longer that lasts, the longer the pause before the venue is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.orders import OrderStatus, Side
from signalist.trading import noting
from signalist.trading.comparing import Sight
from signalist.trading.discrepancies import Kind, State
from signalist.trading.models import Order
from signalist.trading.naming import CANDIDATES
from signalist.trading.transitions import ORDER_STATE

ALARM = timedelta(seconds=30)
"""An order that is in doubt for so long is a difference, and entries in its market are denied by name."""
LONGEST_PAUSE = timedelta(seconds=60)
_SHARE = 0.5


def pause(order: Order, interval: float, now: datetime) -> timedelta:
    """Until the next look: the venue's own `interval` in seconds, and half of what the doubt has lasted, a minute at most. One that is to
    be cancelled waits no longer than for the next cancel, which is paused itself: an exit may wait for it."""
    if order.cancel_wanted and (order.venue_order_id or not order.nameless):
        return max(timedelta(seconds=interval), (order.not_before or now) - now)
    return max(timedelta(seconds=interval), min((now - order.updated_at) * _SHARE, LONGEST_PAUSE))


def unanswered(ids: Sequence[int], accounts: Mapping[int, Account], now: datetime) -> None:
    """Put off the next look at orders of which the venue said nothing, neither that it has them nor that it has not."""
    orders = fast.select_ids(Order, sorted(ids), "status = 'UNKNOWN'", lock="update")
    for order in orders:
        order.not_before = now + pause(order, 0.0, now)
    fast.update(orders, ORDER_STATE)
    tell(orders, accounts, now)


def tell(orders: Sequence[Order], accounts: Mapping[int, Account], now: datetime) -> None:
    """Open a difference for every order that is in doubt for too long, once; its event is the alarm."""
    late = [o for o in orders if o.state is OrderStatus.UNKNOWN and now - o.updated_at >= ALARM]
    if not late:
        return
    told = noting.standing(sorted({order.account_id for order in late}))
    known = {row.subject for rows in told.values() for row in rows if row.state == State.OPEN}
    rows = []
    for order in late:
        if order.client_order_id in known:
            continue
        left = (order.quantity - order.filled) * Side(order.side).sign
        facts = {"side": order.side, "type": order.type, "leg": order.leg}
        if order.nameless and not order.venue_order_id:
            facts[CANDIDATES] = ""
        sight = Sight(Kind.ORDER_IN_DOUBT, order.instrument.symbol, order.client_order_id, left, None, facts)
        rows.append(noting.begun(accounts[order.account_id], sight, order.instrument_id, order.looks, now))
    noting.store(rows)
