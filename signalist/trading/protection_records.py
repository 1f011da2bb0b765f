"""What a position's page says of its protection: the plan, every move of its stop, and what the engine watches or has sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.domain.protection import Plan, Reason
from signalist.trading.models import ACTIVE_ORDER, Order, Position, StopMove

MOST_MOVES = 50
"""A page shows so many of the newest moves."""
_WHY = {Reason.BREAK_EVEN.value: "break-even", Reason.TRAIL.value: "trailing stop"}


@dataclass(frozen=True, slots=True)
class MoveLine:
    """A stop that was moved: prices in quote currency, `why` in a word or two."""

    at: datetime
    was: Decimal | None
    level: Decimal
    price: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class WatchedLeg:
    """A stop or target that the engine watches or has watched. `reaction` is the time from the price to the sending, None before it."""

    leg: str
    level: Decimal | None
    waits: bool
    reached_at: datetime | None
    reaction: timedelta | None


@dataclass(frozen=True, slots=True)
class ProtectionRecord:
    """The protection of one position. `blind_since`: since when its price is too old to watch by."""

    plan: Plan
    first_stop: Decimal | None
    moves: Sequence[MoveLine]
    watched: Sequence[WatchedLeg]
    blind_since: datetime | None

    @property
    def says_anything(self) -> bool:
        """Whether there is more than a stop and a target at the venue."""
        return bool(self.plan != Plan() or self.moves or self.watched)


def protection_record(position: Position, orders: Sequence[Order]) -> ProtectionRecord:
    """The protection of `position`, whose entry execution and `orders` are at hand; one query."""
    moves = reversed(StopMove.objects.filter(position=position).order_by("-pk")[:MOST_MOVES])
    return ProtectionRecord(
        plan=Plan.of(position.entry_execution.plan),
        first_stop=position.first_stop,
        moves=[MoveLine(m.at, m.was, m.level, m.price, _WHY.get(m.reason, m.reason)) for m in moves],
        watched=[_leg(order) for order in orders if order.watched or order.is_triggered],
        blind_since=position.blind_since if position.is_open else None,
    )


def _leg(order: Order) -> WatchedLeg:
    reaction = None if order.reaction_ms is None else timedelta(milliseconds=order.reaction_ms)
    waits = order.watched and order.status in ACTIVE_ORDER
    return WatchedLeg(order.leg, order.trigger, waits, order.price_at, reaction)
