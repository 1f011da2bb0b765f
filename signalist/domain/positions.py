"""Folding fills into positions and trades, net of fees.

A position follows fills, not intentions. Sums of value are kept, never averages, so that the booked result is exact;
the average is derived. Gross result: long (exit − entry) × quantity, short mirrored (MON-04); net of all fees (CON-16).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from .errors import DomainError
from .money import ZERO, settle
from .orders import Leg, Side
from .signals import Direction


@dataclass(frozen=True, slots=True)
class FillFact:
    """One fill: quantity in base units, price and fee in quote currency (a negative fee is a rebate)."""

    side: Side
    leg: Leg
    quantity: Decimal
    price: Decimal
    fee: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as its fills made it. `quantity` is what is open; values are quantity × price summed over fills."""

    direction: Direction
    entry_quantity: Decimal
    entry_value: Decimal
    exit_quantity: Decimal
    exit_value: Decimal
    fees: Decimal
    opened_at: datetime

    @property
    def quantity(self) -> Decimal:
        return self.entry_quantity - self.exit_quantity

    @property
    def is_flat(self) -> bool:
        return self.quantity == 0

    @property
    def average_entry(self) -> Decimal:
        return settle(self.entry_value / self.entry_quantity)

    @property
    def average_exit(self) -> Decimal | None:
        return settle(self.exit_value / self.exit_quantity) if self.exit_quantity else None

    @property
    def gross(self) -> Decimal:
        """Realised result before fees, for the part that is closed; exact once the position is flat."""
        if self.is_flat:
            return settle((self.exit_value - self.entry_value) * self.direction.sign)
        return settle(
            (self.exit_value - self.exit_quantity * self.entry_value / self.entry_quantity) * self.direction.sign
        )

    @property
    def net(self) -> Decimal:
        """Realised result after every fee paid so far, the entry's included."""
        return self.gross - self.fees

    def open_result(self, price: Decimal) -> Decimal:
        """Unrealised result of the open quantity at `price`, before the fee of closing it."""
        return settle(
            (price * self.quantity - self.quantity * self.entry_value / self.entry_quantity) * self.direction.sign
        )

    def notional(self, price: Decimal) -> Decimal:
        """Value of the open quantity at `price`."""
        return self.quantity * price


def opened(fill: FillFact) -> Holding:
    """The position that a first fill makes. Raises DomainError when the fill was not meant to open one."""
    if fill.leg is not Leg.ENTRY:
        raise DomainError(f"A fill of a {fill.leg} order has no position to close.")
    direction = Direction.LONG if fill.side is Side.BUY else Direction.SHORT
    return Holding(direction, fill.quantity, settle(fill.quantity * fill.price), ZERO, ZERO, fill.fee, fill.time)


def folded(holding: Holding, fill: FillFact) -> Holding:
    """The position after one more fill. Raises DomainError when more is closed than is open: the books and the venue differ."""
    adds = (fill.side is Side.BUY) == (holding.direction is Direction.LONG)
    value = settle(fill.quantity * fill.price)
    if adds:
        return replace(
            holding,
            entry_quantity=holding.entry_quantity + fill.quantity,
            entry_value=holding.entry_value + value,
            fees=holding.fees + fill.fee,
        )
    if fill.quantity > holding.quantity:
        raise DomainError(f"A fill closes {fill.quantity} where only {holding.quantity} is open.")
    return replace(
        holding,
        exit_quantity=holding.exit_quantity + fill.quantity,
        exit_value=holding.exit_value + value,
        fees=holding.fees + fill.fee,
    )


def closed_gross(direction: Direction, fills: Iterable[tuple[Side, Decimal, Decimal]]) -> Decimal | None:
    """What the closed part has brought before fees as venues book it: each exit against the average entry of what was open just then.

    `fills` are side, quantity and price in the order in which they happened; None where that cannot be, because more is closed than was
    open. `Holding.gross` takes the average of all entries instead; the two differ where an entry fills after an exit, until the position
    is flat.
    """
    held = cost = result = ZERO
    for side, quantity, price in fills:
        if (side is Side.BUY) == (direction is Direction.LONG):
            held, cost = held + quantity, cost + quantity * price
        elif quantity > held:
            return None
        else:
            given = cost * quantity / held
            held, cost, result = held - quantity, cost - given, result + quantity * price - given
    return settle(result * direction.sign)
