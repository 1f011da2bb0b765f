"""Exact numbers: money, prices and quantities as Decimal, 28 digits with 10 decimals, and rounding to a step.

Rounding happens once, at the instrument's tick and lot; nothing here ever passes through a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    InvalidOperation,
    localcontext,
)

from .errors import DomainError

DIGITS = 28
DECIMALS = 10
QUANTUM = Decimal(1).scaleb(-DECIMALS)
LARGEST = Decimal(10) ** (DIGITS - DECIMALS) - QUANTUM
ZERO = Decimal(0)
WIDE = Context(prec=DIGITS * 2)


def exact(value: Decimal | int | str) -> Decimal:
    """Return `value` as a Decimal that the database can hold without loss; zero comes back without a sign.

    Raises DomainError for a float, a non-finite value, more than 10 decimals or more than 18 digits before the point.
    """
    if isinstance(value, float):
        raise DomainError(f"{value!r} is a float; give a Decimal or a string so that no digit is invented.")
    if isinstance(value, bool):
        raise DomainError(f"{value!r} is not a number.")
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise DomainError(f"{value!r} is not a number.") from error
    if not number.is_finite():
        raise DomainError(f"{value!r} is not a finite number.")
    if not number:
        return ZERO
    if number.adjusted() >= DIGITS - DECIMALS:
        raise DomainError(f"{number} has more than {DIGITS - DECIMALS} digits before the point.")
    if number != number.quantize(QUANTUM, context=WIDE):
        raise DomainError(f"{number} has more than {DECIMALS} decimals; round it first.")
    return number


def is_storable(value: Decimal) -> bool:
    """Whether `value`, settled, can be held: a number with at most 18 digits before the point."""
    return value.is_finite() and value.copy_abs() <= LARGEST


def settle(value: Decimal) -> Decimal:
    """Round a computed amount (a product or a quotient) to the 10 decimals that are stored, half to even."""
    return value.quantize(QUANTUM, rounding=ROUND_HALF_EVEN, context=WIDE)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`."""
    return _steps(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`."""
    return _steps(value, step, ROUND_CEILING)


def truncate_to(value: Decimal, step: Decimal) -> Decimal:
    """The multiple of `step` next to `value` on the side of zero: a quantity is never rounded up."""
    return _steps(value, step, ROUND_DOWN)


def nearest_to(value: Decimal, step: Decimal) -> Decimal:
    """The nearest multiple of `step`, half to even."""
    return _steps(value, step, ROUND_HALF_EVEN)


def _steps(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step <= 0:
        raise DomainError(f"A step must be above zero, not {step}.")
    with localcontext(WIDE):
        # The context's precision is far above what two stored numbers can need, so the quotient below is exact or safely rounded away.
        quotient = value / step
        whole = quotient.to_integral_value(rounding=rounding)
        nearest = quotient.to_integral_value(rounding=ROUND_HALF_EVEN)
        if nearest * step == value:
            whole = nearest
        return whole * step


def plain(value: Decimal) -> str:
    """`value` in plain digits without needless zeros, as decision records and digests print it."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with its currency; amounts of different currencies never meet without a dated rate."""

    amount: Decimal
    currency: str

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def converted(self, rate: Decimal, currency: str) -> Money:
        """This amount at `rate` units of `currency` for one unit of its own."""
        if rate <= 0:
            raise DomainError(f"An exchange rate must be above zero, not {rate}.")
        return Money(settle(self.amount * rate), currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise DomainError(f"{self.currency} and {other.currency} cannot be added without an exchange rate.")
