"""The gate of each account: after an engine took it, no entry is decided before its venue was heard and its protection is known to stand.

What protects is asked for, order by order: a stop may have gone while nobody looked. An order that is asked for is in doubt until the
venue has said that it is there, so that the looks, the giving up and the replacing are those of any order in doubt.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from datetime import datetime

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit, wakes
from signalist.domain.orders import Leg, OrderStatus
from signalist.execution import leases
from signalist.execution.standing import Picture
from signalist.trading.models import Order
from signalist.trading.transitions import ORDER_STATE, move
from signalist.venues.base import Capabilities
from signalist.venues.errors import VenueError

_RESTING = "status IN ('WORKING', 'PARTIAL') AND leg IN ('STOP', 'TARGET')"


class Readiness:
    """Which accounts of an engine wait behind their gate. What it knows dies with the engine: the next one takes the accounts anew."""

    def __init__(self) -> None:
        self._unheard: set[int] = set()
        self._unsettled: set[int] = set()
        self._kept_out: set[int] = set()

    @property
    def keeps_out(self) -> bool:
        """Whether an entry waits behind a gate: what is learnt about its account's protection is news for it."""
        return bool(self._kept_out)

    def taken(self, account_ids: Collection[int]) -> None:
        """These accounts were another's, or nobody's."""
        self._unheard |= set(account_ids)
        self._unsettled |= set(account_ids)

    def heard(self, account_ids: Collection[int]) -> None:
        """The venue of these accounts has told what happened there, and it is written."""
        fresh = self._unheard & set(account_ids)
        self._unheard -= fresh
        if fresh:
            wakes.ring("decide")

    def lets_in(self, account_id: int, known: Picture) -> bool:
        """Whether an entry of this account may be decided, as the batch sees it."""
        if account_id not in self._unsettled:
            return True
        if account_id in self._unheard or _in_doubt(account_id, known):
            self._kept_out.add(account_id)
            return False
        self._unsettled.discard(account_id)
        self._kept_out.discard(account_id)
        return True


def _in_doubt(account_id: int, known: Picture) -> bool:
    """Whether a stop or target of the account is not known to stand, or a position of it waits to be looked after."""
    legs = known.protecting.get(account_id, ())
    moving = any(not order.watched and _is_moving(order) for order in legs)
    return moving or any(position.protection_due for position in known.accounts[account_id].positions)


def _is_moving(order: Order) -> bool:
    """Whether it may or may not stand. A target that was never sent is neither, and goes behind the entries of others."""
    if order.state is OrderStatus.CREATED:
        return order.leg != Leg.TARGET or order.attempts > 0
    return order.state in (OrderStatus.SENDING, OrderStatus.UNKNOWN)


def recheck(
    account_ids: Collection[int], abilities: Callable[[str], Capabilities], engine: uuid.UUID, now: datetime
) -> int:
    """Put in doubt what rests at the venues of these accounts to protect, so that it is looked up, under the name that it has there;
    returns how many orders. A venue that this installation does not serve is asked nothing."""
    with unit("readiness.recheck"):
        locked = fast.select_ids(Account, sorted(account_ids), lock="update")
        asked = [key for key, account in leases.mine(locked, engine).items() if _is_served(account, abilities)]
        orders = fast.select_ids(Order, asked, _RESTING, column="account_id", lock="update")
        for order in orders:
            move(order, OrderStatus.UNKNOWN, now, "looked for after a change of hands")
            order.looks, order.not_before = 0, None
        fast.update(orders, ORDER_STATE)
        if orders:
            ring_on_commit("look_up")
    return len(orders)


def _is_served(account: Account, abilities: Callable[[str], Capabilities]) -> bool:
    try:
        abilities(account.venue)
    except VenueError:
        return False
    return True
