"""Signals: what a strategy says at a candle's close, and how its prices travel to another instrument."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from .errors import DomainError
from .instruments import InstrumentSpec


class Direction(StrEnum):
    """The side of a position."""

    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def sign(self) -> int:
        """+1 for LONG, -1 for SHORT."""
        return 1 if self is Direction.LONG else -1


class SignalKind(StrEnum):
    """The four signals (SIG-02). HOLD is no signal; BUY/SELL, CALL/PUT and the like are mapped at the edges."""

    LONG = "LONG"
    SHORT = "SHORT"
    EXIT_LONG = "EXIT_LONG"
    EXIT_SHORT = "EXIT_SHORT"

    @property
    def is_entry(self) -> bool:
        return self in (SignalKind.LONG, SignalKind.SHORT)

    @property
    def direction(self) -> Direction:
        """The side of the position that the signal opens or closes."""
        return Direction.LONG if self in (SignalKind.LONG, SignalKind.EXIT_LONG) else Direction.SHORT


@dataclass(frozen=True, slots=True)
class Levels:
    """Where a position is protected, in the traded instrument's quote currency; None where the signal names none."""

    stop: Decimal | None
    target: Decimal | None


def levels_error(direction: Direction, reference: Decimal, levels: Levels) -> str | None:
    """Why these levels cannot protect an entry near `reference`, or None: a long's stop lies below, its target above."""
    sign = direction.sign
    if levels.stop is not None and (levels.stop <= 0 or (reference - levels.stop) * sign <= 0):
        side = "below" if sign > 0 else "above"
        return f"the stop {levels.stop} of a {direction.lower()} must lie {side} the price {reference}"
    if levels.target is not None and (levels.target <= 0 or (levels.target - reference) * sign <= 0):
        side = "above" if sign > 0 else "below"
        return f"the target {levels.target} of a {direction.lower()} must lie {side} the price {reference}"
    return None


def reanchor(levels: Levels, reference: Decimal, price: Decimal, spec: InstrumentSpec) -> Levels:
    """Carry `levels`, true at the signal's `reference` price, to `price` of the traded instrument.

    They travel as ratios to the reference, so that currency and scale do not matter, and land on the traded
    instrument's price grid (design: a signal's prices are true only for the instrument whose candles made it).
    """
    if reference <= 0 or price <= 0:
        raise DomainError(f"Levels can only be carried between prices above zero, not {reference} and {price}.")

    def carried(level: Decimal | None) -> Decimal | None:
        return None if level is None else spec.price(price * (level / reference))

    return Levels(carried(levels.stop), carried(levels.target))


def basis(reference: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """How far the traded market stands from the signal's, as a signed fraction.

    `rate` is units of the traded quote currency for one unit of the signal's quote currency (1 where they are the same).
    """
    if reference <= 0 or rate <= 0:
        raise DomainError(f"A basis needs a reference price and a rate above zero, not {reference} and {rate}.")
    return price / (reference * rate) - 1
