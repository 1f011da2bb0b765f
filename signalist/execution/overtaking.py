"""When an exit goes though it is not known that its position's stop and targets are gone, or that no exit before it has arrived; and how
much of what the venue holds it may take then.

An exit waits for what protects its position to be taken down. What is in doubt is asked to be cancelled as well, for a cancel can be
repeated. But a venue that neither cancels nor says what became of an order must not keep a position from being closed: the wait is
bounded, and what goes after it is bounded by what the venue holds of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from signalist.db import fast
from signalist.domain.orders import AT_VENUE, Leg, OrderStatus
from signalist.events.outbox import Fact
from signalist.trading.models import STILL_ACTIVE, Order
from signalist.venues.errors import NotOpened

PATIENCE = 5
"""So many setbacks of a cancel, and a stop does not hold its exit back any more."""
LONGEST_WAIT = timedelta(seconds=10)
"""So long an exit waits for what protects its position to be gone, or to be known as gone."""
DOUBT_LASTS = timedelta(seconds=1)
"""So long an order is in doubt before it is asked to be cancelled: a look that finds it is quicker."""
_NOT_ASKED = f"{NotOpened.code}:"
"""So the reason begins of what could not be cancelled because its account was not opened: no exit could have left there either."""
_CONCERNED = (
    f"(({STILL_ACTIVE} AND leg IN ('STOP', 'TARGET')) OR (leg = 'EXIT' AND attempts > 0)"
    " OR (price_at IS NOT NULL AND status = 'REJECTED'))"
)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Of the orders that are to leave a position, by id: those that wait, those that overtake what may still protect, and those before
    which another was sent that may have arrived all the same."""

    waiting: frozenset[int] = field(default_factory=frozenset)
    overtaking: frozenset[int] = field(default_factory=frozenset)
    repeated: frozenset[int] = field(default_factory=frozenset)

    @property
    def bounded(self) -> frozenset[int]:
        """Those that take no more than the venue is seen to hold of ours."""
        return self.overtaking | self.repeated


def leaving(orders: Sequence[Order], now: datetime) -> Leaving:
    """What holds for these exits, and stops and targets that the market has reached. Two queries at most, none where there is none of them.

    An exit waits as long as anything protects its position at the venue, and as long as something is being taken down there that its
    subscription's position before has left behind: what is opened by an entry's late fill is not closed over it. A stop or target waits as
    long as something of its own position is being taken down.
    """
    ids = sorted({order.position_id for order in orders if order.position_id})
    if not ids:
        return Leaving()
    found = fast.select_ids(Order, ids, _CONCERNED, column="position_id")
    holding = [order for order in found if Leg(order.leg).protects and order.state in AT_VENUE]
    behind = _left_behind([order for order in orders if order.leg == Leg.EXIT])
    waiting, overtaking = set[int](), set[int]()
    for order in orders:
        before = [other for other in holding if other.position_id == order.position_id and other.pk != order.pk]
        if order.leg != Leg.EXIT:
            before = [other for other in before if other.cancel_wanted]
        else:
            place = order.subscription_id, order.instrument_id
            before += [
                o
                for o in behind
                if (o.subscription_id, o.instrument_id) == place and o.position_id != order.position_id
            ]
        if not before:
            continue
        # However long it has waited: what is being asked to be cancelled, or about to be, is given that chance.
        in_time = now - _since(order) < LONGEST_WAIT or any(_is_asked(other, now) for other in before)
        patient = in_time and any(other.setbacks <= PATIENCE for other in before)
        (waiting if patient else overtaking).add(order.pk)
    sent = [other for other in found if other.leg == Leg.EXIT or other.state is OrderStatus.REJECTED]
    repeated = {o.pk for o in orders if any(s.position_id == o.position_id and s.pk != o.pk for s in sent)}
    return Leaving(frozenset(waiting), frozenset(overtaking), frozenset(repeated))


def _left_behind(exits: Sequence[Order]) -> list[Order]:
    """What is being taken down at the venue on these exits' accounts, of whichever position."""
    ids = sorted({order.account_id for order in exits})
    if not ids:
        return []
    found = fast.select_ids(
        Order, ids, f"{STILL_ACTIVE} AND leg IN ('STOP', 'TARGET') AND cancel_wanted", column="account_id"
    )
    return [order for order in found if order.state in AT_VENUE]


def _is_asked(order: Order, now: datetime) -> bool:
    """Whether its venue is being asked about it, or is asked in this very round."""
    if order.busy or order.state is OrderStatus.SENDING:
        return True
    if order.state is OrderStatus.UNKNOWN:
        if order.nameless and not order.venue_order_id:
            return False
        if now - order.updated_at < DOUBT_LASTS or (order.cancel_wanted and not order.setbacks):
            return True
    is_due = order.not_before is None or order.not_before <= now
    return bool(order.cancel_wanted and (is_due or order.reason.startswith(_NOT_ASKED)))


def _since(order: Order) -> datetime:
    """Since when it waits. One that was watched is as old as its position, and changed last when the market reached it."""
    since: datetime = order.updated_at if order.is_triggered else order.created_at
    return since if order.not_before is None else max(since, order.not_before)


def alarm(orders: Sequence[Order], overtaking: Collection[int], now: datetime) -> list[Fact]:
    """What is to be told of the exits among these orders, which are being sent, that overtake what may still protect."""
    return [
        Fact(
            "exit_overtakes",
            order.tenant_id,
            now,
            {"order": order.pk, "position": order.position_id, "leg": order.leg, "severity": "HIGH"},
        )
        for order in orders
        if order.pk in overtaking
    ]
