"""How a position is protected beyond its first stop and target: the rules of a protection plan, pure and the same for every caller.

A gain is measured in R, the distance from the average entry to the first stop. Everything is told for a long; a short is its mirror.
A stop only ever tightens: what a rule proposes on the loose side of the stop that stands is no move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise
from typing import Any

from .errors import DomainError
from .instruments import InstrumentSpec
from .money import ZERO, ceil_to, exact, floor_to, plain
from .signals import Direction

LARGEST_GAIN = Decimal(100)
SMALLEST_TRAIL, LARGEST_TRAIL = Decimal("0.0005"), Decimal("0.5")
MOST_RUNGS = 5
LONGEST_MINUTES = 30 * 24 * 60
TRAIL_STEP = Decimal("0.1")
"""A trailing stop moves by at least this part of its distance at a time: an amendment for every tick would spend a venue's budget."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One target of a ladder: `share` of the entered quantity is taken at a gain of so many R."""

    gain: Decimal
    share: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subscriber chose. `break_even`: gain in R after which the stop goes to the entry with its fees; `trail`: distance of a
    trailing stop as a fraction of the price; `ladder`: targets with rising gains, which take the place of the signal's own for their
    shares; `minutes`: how long a position lives at most. None and empty are not chosen."""

    break_even: Decimal | None = None
    trail: Decimal | None = None
    ladder: tuple[Rung, ...] = ()
    minutes: int | None = None

    @property
    def follows_the_market(self) -> bool:
        """Whether prices or time change what protects the position."""
        return self.break_even is not None or self.trail is not None or self.minutes is not None

    def document(self) -> dict[str, Any]:
        """The plan as plain JSON values; what is not chosen is left out, so that no plan is an empty object."""
        found: dict[str, Any] = {}
        if self.break_even is not None:
            found["break_even"] = plain(self.break_even)
        if self.trail is not None:
            found["trail"] = plain(self.trail)
        if self.ladder:
            found["ladder"] = ladder_text(self.ladder)
        if self.minutes is not None:
            found["minutes"] = self.minutes
        return found

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Plan:
        """The plan that `document` made of it is; no plan for None."""
        said = document or {}
        return cls(
            None if said.get("break_even") is None else Decimal(said["break_even"]),
            None if said.get("trail") is None else Decimal(said["trail"]),
            ladder_of(said.get("ladder", "")),
            said.get("minutes"),
        )


# --- What may be chosen --------------------------------------------------------------------------


def ladder_text(ladder: Sequence[Rung]) -> str:
    """A ladder as it is stored: `1:0.5 2:0.25` is half at 1 R and a quarter at 2 R."""
    return " ".join(f"{plain(rung.gain)}:{plain(rung.share)}" for rung in ladder)


def ladder_of(text: str) -> tuple[Rung, ...]:
    """The ladder that `ladder_text` made a text of. Raises DomainError for what is none."""
    rungs = []
    for part in text.split():
        gain, _, share = part.partition(":")
        try:
            rungs.append(Rung(exact(Decimal(gain)), exact(Decimal(share))))
        except InvalidOperation:
            raise DomainError(f"{part!r} is no target: write a gain and a share, as in 1:0.5.") from None
    return tuple(rungs)


def plan_error(plan: Plan) -> tuple[str, str] | None:
    """(the part of the plan, why it cannot be meant), or None."""
    if plan.break_even is not None and not 0 < plan.break_even <= LARGEST_GAIN:
        return "break_even", f"The gain lies above 0 and up to {LARGEST_GAIN} R, not at {plain(plan.break_even)}."
    if plan.trail is not None and not SMALLEST_TRAIL <= plan.trail <= LARGEST_TRAIL:
        return "trail", f"The distance is a fraction from {SMALLEST_TRAIL} to {LARGEST_TRAIL}, not {plain(plan.trail)}."
    if plan.minutes is not None and not 1 <= plan.minutes <= LONGEST_MINUTES:
        return "minutes", f"A position lives from 1 to {LONGEST_MINUTES} minutes, not {plan.minutes}."
    problem = _ladder_error(plan.ladder)
    return None if problem is None else ("ladder", problem)


def _ladder_error(ladder: Sequence[Rung]) -> str | None:
    if len(ladder) > MOST_RUNGS:
        return f"There are at most {MOST_RUNGS} targets."
    gains = [rung.gain for rung in ladder]
    if any(not 0 < gain <= LARGEST_GAIN for gain in gains):
        return f"Each target's gain lies above 0 and up to {LARGEST_GAIN} R."
    if any(later <= earlier for earlier, later in pairwise(gains)):
        return "Each target lies further away than the one before."
    if any(rung.share <= 0 for rung in ladder) or sum((rung.share for rung in ladder), ZERO) > 1:
        return "Each share is above 0, and all of them together are at most the whole."
    return None


# --- A stop that moves ---------------------------------------------------------------------------


class Reason(StrEnum):
    """Which rule moved a stop."""

    BREAK_EVEN = "break_even"
    TRAIL = "trail"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A position as the rules see it; prices in quote currency. `fees_each`: what one unit has paid to be entered and is assumed to
    pay to be left. `first_stop` is None where the signal named none, `stop` where none stands."""

    direction: Direction
    entry: Decimal
    first_stop: Decimal | None
    stop: Decimal | None
    fees_each: Decimal

    @property
    def risk(self) -> Decimal | None:
        """R: what one unit loses from the entry to the first stop; None where there is no such stop on the losing side."""
        if self.first_stop is None:
            return None
        distance = (self.entry - self.first_stop) * self.direction.sign
        return distance if distance > 0 else None


@dataclass(frozen=True, slots=True)
class Move:
    """Where a stop goes, and by which rule."""

    level: Decimal
    reason: Reason


def moved_stop(plan: Plan, guarded: Guarded, price: Decimal, spec: InstrumentSpec) -> Move | None:
    """The move that `price` brings about, None for none: the tightest that a rule proposes, behind the market and inside the stop."""
    sign = guarded.direction.sign
    proposals = [
        move for move in (_break_even(plan, guarded, price, spec), _trailed(plan, guarded, price, spec)) if move
    ]
    proposals = [move for move in proposals if move.level > 0 and (price - move.level) * sign > 0]
    if not proposals:
        return None
    best = max(proposals, key=lambda move: move.level * sign)
    return best if tighter(guarded.direction, guarded.stop, best.level) == best.level != guarded.stop else None


def tighter(direction: Direction, one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Of two stops the one that loses less; the one that there is where the other is None."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=lambda level: level * direction.sign)


def _break_even(plan: Plan, guarded: Guarded, price: Decimal, spec: InstrumentSpec) -> Move | None:
    """The entry and the fees both ways, on the tick that does not lose."""
    if plan.break_even is None or guarded.risk is None:
        return None
    sign = guarded.direction.sign
    if (price - guarded.entry) * sign < plan.break_even * guarded.risk:
        return None
    level = guarded.entry + guarded.fees_each * sign
    return Move(ceil_to(level, spec.tick) if sign > 0 else floor_to(level, spec.tick), Reason.BREAK_EVEN)


def _trailed(plan: Plan, guarded: Guarded, price: Decimal, spec: InstrumentSpec) -> Move | None:
    """The price less the distance, on the tick away from the market; only where that is a step of its own."""
    if plan.trail is None:
        return None
    sign, distance = guarded.direction.sign, price * plan.trail
    level = price - distance * sign
    level = floor_to(level, spec.tick) if sign > 0 else ceil_to(level, spec.tick)
    step = max(spec.tick, distance * TRAIL_STEP)
    if guarded.stop is not None and (level - guarded.stop) * sign < step:
        return None
    return Move(level, Reason.TRAIL)


def outlived(plan: Plan, opened_at: datetime, now: datetime) -> bool:
    """Whether the position has lived as long as it may."""
    return plan.minutes is not None and now - opened_at >= timedelta(minutes=plan.minutes)


def reached(direction: Direction, level: Decimal, price: Decimal, *, stop: bool) -> bool:
    """Whether `price` has come to a stop, or to a target: a long's at or below its stop, at or above its target (MON-07)."""
    beyond = (price - level) * direction.sign
    return beyond <= 0 if stop else beyond >= 0


# --- Targets -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be taken where. `rung` counts from 1 along the ladder; 0 is the signal's own target."""

    rung: int
    level: Decimal
    quantity: Decimal


def targets(
    plan: Plan, guarded: Guarded, own: Decimal | None, entered: Decimal, spec: InstrumentSpec
) -> tuple[Target, ...]:
    """The targets of a position of which `entered` was bought or sold: the ladder's, and the signal's `own` for what they leave.

    Each rung gets its share in whole lots. What a rung cannot take, because it is under the venue's minimum, goes to the next; where the
    shares are the whole, the last takes the rest. A ladder needs an R: without one the signal's own target is all there is.
    """
    risk = guarded.risk
    found: list[Target] = []
    taken = due = ZERO
    for number, rung in enumerate(plan.ladder if risk is not None else (), start=1):
        assert risk is not None
        level = spec.price(guarded.entry + risk * rung.gain * guarded.direction.sign)
        due += rung.share
        # By the sum of the shares so far: what rounding left of one rung is in the next.
        quantity = spec.quantity(entered * due) - taken if due < 1 else entered - taken
        if quantity > 0 and spec.too_small(quantity, level) is None:
            found.append(Target(number, level, quantity))
            taken += quantity
    if due >= 1 and found and taken < entered:
        found[-1] = Target(found[-1].rung, found[-1].level, found[-1].quantity + entered - taken)
        taken = entered
    if own is not None and taken < entered:
        found.append(Target(0, own, entered - taken))
    return tuple(found)


def outstanding(wanted: Sequence[Target], filled: Mapping[int, Decimal], held: Decimal) -> tuple[Target, ...]:
    """What of `wanted` is still to be taken, given what each rung has `filled`, and never more together than is `held`."""
    found, left = [], held
    for target in wanted:
        quantity = min(target.quantity - filled.get(target.rung, ZERO), left)
        if quantity > 0:
            found.append(Target(target.rung, target.level, quantity))
            left -= quantity
    return tuple(found)
