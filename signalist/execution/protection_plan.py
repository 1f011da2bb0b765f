"""What should protect a position now, and where: at its venue, or watched by the engine. The rules are `domain.protection`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import settle
from signalist.domain.orders import Leg, OrderType
from signalist.domain.protection import Guarded, Plan, outstanding, targets
from signalist.domain.signals import Direction
from signalist.execution.limits import fee_of
from signalist.trading.models import Position
from signalist.venues.base import Capabilities


@dataclass(frozen=True, slots=True)
class Wanted:
    """One stop or target that should stand for `quantity`. `watched`: the venue cannot keep it, or not beside another; the engine does."""

    leg: Leg
    rung: int
    level: Decimal
    quantity: Decimal
    watched: bool

    @property
    def place(self) -> tuple[str, int]:
        """(leg, rung): where one order stands at a time."""
        return self.leg.value, self.rung


def plan_of(position: Position) -> Plan:
    """The plan that the position was entered with; its entry execution must be at hand."""
    return Plan.of(position.entry_execution.plan)


def guarded(position: Position, spec: InstrumentSpec) -> Guarded:
    """The position as the rules see it. What it has paid in fees so far is spread over what was entered; leaving costs the market's fee."""
    entry = position.holding().average_entry
    paid = position.fees / position.entry_quantity
    return Guarded(
        Direction(position.direction), entry, position.first_stop, position.stop, settle(paid + entry * fee_of(spec))
    )


def wanted_legs(
    position: Position, abilities: Capabilities, filled: Mapping[int, Decimal], spec: InstrumentSpec
) -> tuple[Wanted, ...]:
    """The stop and the targets of an open position; `filled`: what each rung of its ladder has taken already.

    A venue where one exit rests at a time keeps the stop, and the targets are watched; none of our venues has an OCO. One that has no
    stops leaves the stop to the engine, and its targets may rest.
    """
    found = []
    if position.stop is not None:
        kept = abilities.rests(OrderType.STOP)
        found.append(Wanted(Leg.STOP, 0, position.stop, position.quantity, not kept))
    beside = not abilities.one_exit_rests or all(leg.watched for leg in found)
    rests = abilities.rests(OrderType.TAKE_PROFIT) and beside
    wanted = targets(plan_of(position), guarded(position, spec), position.target, position.entry_quantity, spec)
    left = outstanding(wanted, filled, position.quantity)
    return (*found, *(Wanted(Leg.TARGET, target.rung, target.level, target.quantity, not rests) for target in left))
