"""Whose turn it is at venues where an order has no name of ours: at most one order of an account and instrument is on its way there.

Called by the claim, inside its transaction. The first that is claimed goes, in the claim's own order, but no entry before a target: one
that is in doubt keeps everything behind it waiting for as long as that lasts. The others wait until the venue has told its id, and nothing
new goes there while one is in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.domain.money import ZERO, plain
from signalist.domain.orders import Leg
from signalist.markets.selectors import instruments
from signalist.trading.discrepancies import AccountLook
from signalist.trading.models import AttemptAction, Order, OrderAttempt
from signalist.trading.naming import WITHOUT_ID
from signalist.venues.base import Capabilities
from signalist.venues.errors import VenueError

_TARGETS = "status = 'CREATED' AND leg = 'TARGET' AND NOT watched AND NOT cancel_wanted"
Abilities = Callable[[str], Capabilities]
BESIDE = "beside"
"""In the request of an attempt: what the venue held in the symbol beyond our books at the last look, signed, as text."""


class _Errand(Protocol):
    @property
    def order(self) -> Order: ...

    @property
    def attempt(self) -> OrderAttempt: ...


def is_nameless(venue: str, abilities: Abilities) -> bool:
    """Whether an order has no name of ours at this venue; not at one that this installation does not serve."""
    try:
        return abilities(venue).order_identity == "none"
    except VenueError:
        return False


class Turns:
    """Who may go of the `orders` that were not sent yet. Three queries where a venue knows no ids of ours, none elsewhere."""

    def __init__(
        self, orders: Sequence[Order], accounts: Mapping[int, Account], abilities: Abilities | None, now: datetime
    ) -> None:
        venues = {accounts[order.account_id].venue for order in orders}
        nameless = {venue for venue in venues if abilities is not None and is_nameless(venue, abilities)}
        self._nameless = {o.account_id for o in orders if accounts[o.account_id].venue in nameless}
        on_the_way = fast.select_ids(Order, sorted(self._nameless), WITHOUT_ID, column="account_id")
        self._taken = {(order.account_id, order.instrument_id) for order in on_the_way}
        targets = fast.select_ids(Order, sorted(self._nameless), _TARGETS, column="account_id")
        due = [target for target in targets if target.not_before is None or target.not_before <= now]
        self._before_entries = {(target.account_id, target.instrument_id) for target in due}

    def take(self, order: Order) -> bool:
        """Whether it may be sent now; at a nameless venue nothing else of its account and instrument may after that."""
        order.nameless = order.account_id in self._nameless
        if not order.nameless:
            return True
        place = (order.account_id, order.instrument_id)
        if place in self._taken or (order.leg == Leg.ENTRY and place in self._before_entries):
            return False
        self._taken.add(place)
        return True

    def name(self, order: Order) -> str:
        """The id under which its venue is asked for an order that is there."""
        return order.venue_order_id if order.nameless else order.client_order_id

    def write(self, errands: Sequence[_Errand]) -> None:
        """Note of what is sent to nameless venues that it is, and what there was beside our books before."""
        sent = [e for e in errands if e.attempt.action == AttemptAction.PLACE and e.order.nameless]
        if not sent:
            return
        looks = fast.select_ids(AccountLook, sorted({e.order.account_id for e in sent}), column="account_id")
        beside = {(look.account_id, line["symbol"]): _beside(line) for look in looks for line in look.sums}
        known = instruments({e.order.instrument_id for e in sent})
        for errand in sent:
            place = (errand.order.account_id, known[errand.order.instrument_id].symbol)
            errand.attempt.request[BESIDE] = plain(beside.get(place, ZERO))
        fast.update([e.order for e in sent], ("nameless",))


def _beside(line: Mapping[str, str]) -> Decimal:
    return Decimal(line["venue"]) - Decimal(line["ours"])
