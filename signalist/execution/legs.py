"""Makes the orders of a position be what should protect it: created, resized and moved in place, or withdrawn to be replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.db import fast
from signalist.domain.orders import Leg, OrderStatus, OrderType, closing_side
from signalist.domain.signals import Direction
from signalist.execution.protection_plan import Wanted
from signalist.trading import stop_tries
from signalist.trading.keys import order_ids
from signalist.trading.models import Order, Position
from signalist.trading.transitions import move, want_cancelled

MAX_REFUSED_TARGETS = 3
"""A target that was refused so often is left: its stop still stands, and another try is refused like the ones before."""
ON_ITS_WAY = (OrderStatus.CREATED, OrderStatus.SENDING)


@dataclass(slots=True)
class Numbers:
    """How many orders each leg of each execution has had (replacements are counted within a leg), and how many were refused."""

    made: dict[tuple[int, str], int] = field(default_factory=dict)
    refused: dict[tuple[int, str, int], int] = field(default_factory=dict)

    def next(self, position: Position, leg: Leg) -> int:
        """The number of the leg's next order, which is given away with it."""
        key = (position.entry_execution_id, leg.value)
        number = self.made.get(key, 0)
        self.made[key] = number + 1
        return number

    def gives_up(self, position: Position, wanted: Wanted) -> bool:
        """Whether this target has been refused too often to be tried again."""
        key = (position.entry_execution_id, wanted.leg.value, wanted.rung)
        return wanted.leg is Leg.TARGET and self.refused.get(key, 0) >= MAX_REFUSED_TARGETS


@dataclass(slots=True)
class Changes:
    """What a batch writes."""

    now: datetime
    created: list[Order] = field(default_factory=list)
    touched: dict[int, Order] = field(default_factory=dict)
    emergencies: list[tuple[Position, str]] = field(default_factory=list)
    stuck: list[Position] = field(default_factory=list)
    vanishing: list[Position] = field(default_factory=list)
    dust: list[Position] = field(default_factory=list)


def standing(active: Sequence[Order], leg: Leg, rung: int = 0) -> Order | None:
    """The order that counts there; what it has superseded is on its way out."""
    found = (order for order in active if order.leg == leg and order.rung == rung and not order.superseded)
    return next(found, None)


def cover(
    position: Position, wanted: Wanted, order: Order | None, numbers: Numbers, amends: bool, changes: Changes
) -> None:
    """Make one leg be what is wanted: created, changed in place, or withdrawn to be replaced once the cancel is confirmed."""
    if order is None:
        if not numbers.gives_up(position, wanted):
            changes.created.append(leg_order(position, wanted, numbers.next(position, wanted.leg), changes.now))
        return
    if order.is_triggered:
        return  # a market order by now: it takes what it takes
    total = order.filled + wanted.quantity
    asked = (order.wanted_quantity or order.quantity, order.wanted_trigger or order.trigger, order.watched)
    if asked == (total, wanted.level, wanted.watched):
        return
    if order.state is OrderStatus.CREATED:
        order.quantity, order.trigger, order.watched = total, wanted.level, wanted.watched
        order.updated_at = changes.now
    elif order.state in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
        position.protection_due = True  # its fate decides what to do
        return
    elif amends and not wanted.watched:
        order.wanted_quantity = total
        # What is under way may move the level yet, so that going back to where it stands is a wish of its own.
        order.wanted_trigger = None if wanted.level == order.trigger and not order.busy else wanted.level
    else:
        order.cancel_wanted = True
    changes.touched[order.pk] = order


def leg_order(position: Position, wanted: Wanted, n: int, now: datetime) -> Order:
    """The n-th order of a leg. A stop that the venue refuses again and again, or takes away, is placed again after a pause that grows."""
    order = closing_order(position, wanted.leg, n, wanted.quantity, now)
    order.type = (OrderType.STOP if wanted.leg is Leg.STOP else OrderType.TAKE_PROFIT).value
    order.rung, order.trigger, order.watched = wanted.rung, wanted.level, wanted.watched
    if wanted.leg is Leg.STOP:
        lost = timedelta(seconds=2**position.lost_stops if position.lost_stops > 1 else 0)
        pause = max(lost, stop_tries.pause(position))
        order.not_before = now + pause if pause else None
    return order


def closing_order(position: Position, leg: Leg, n: int, quantity: Decimal, now: datetime) -> Order:
    """A market order that reduces the position, under the name of its entry execution."""
    order_id, tag = order_ids(position.entry_execution, leg, n)
    return fast.new(
        Order,
        tenant_id=position.tenant_id,
        account_id=position.account_id,
        subscription_id=position.subscription_id,
        instrument_id=position.instrument_id,
        execution=position.entry_execution,
        position=position,
        leg=leg.value,
        n=n,
        client_order_id=order_id,
        tag=tag,
        side=closing_side(Direction(position.direction)).value,
        type=OrderType.MARKET.value,
        quantity=quantity,
        reduce_only=True,
        leverage=position.leverage,
        created_at=now,
        updated_at=now,
    )


def withdraw(order: Order, changes: Changes, reason: str = "the position is closed") -> None:
    """Take an order back: at once where it never left, else by a cancel."""
    if order.state is OrderStatus.CREATED:
        move(order, OrderStatus.CANCELLED, changes.now, reason)
    elif order.cancel_wanted:
        return
    else:
        want_cancelled(order)
    changes.touched[order.pk] = order
