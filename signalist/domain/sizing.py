"""How much to trade. Leverage never multiplies a quantity: it sets margin and buying power only (CON-01).

All fractions are of 1 (0.02 is two per cent); a fraction above 0.5 is refused as a probable unit error (CON-12).
Quantities come back unrounded; the instrument's lot is applied once, by the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from .errors import DomainError
from .money import DIGITS, ZERO, settle

LARGEST_FRACTION = Decimal("0.5")
KELLY_PART = Decimal("0.25")
POSITION_CAP = Decimal("0.20")
# The last digit of a quotient is cut, never rounded up: no quantity risks more than was allowed.
DOWN = Context(prec=DIGITS, rounding=ROUND_DOWN)


def checked_fraction(name: str, value: Decimal) -> Decimal:
    """`value` if it can be a fraction that a person means, else DomainError."""
    if not ZERO < value <= LARGEST_FRACTION:
        raise DomainError(f"{name} is a fraction between 0 and {LARGEST_FRACTION} (0.02 means 2 %), not {value}.")
    return value


def risk_quantity(capital: Decimal, risk_fraction: Decimal, entry: Decimal, stop: Decimal) -> Decimal:
    """Quantity whose loss at the stop is capital × risk fraction: that amount ÷ |entry − stop| (EXE-11).

    Zero distance gives quantity 0 and so no order (EXE-12). Reference: 10 000, 2 %, 45 000 → 44 000 gives 0.2.
    """
    checked_fraction("risk", risk_fraction)
    distance = abs(entry - stop)
    return ZERO if distance == 0 else DOWN.divide(DOWN.multiply(capital, risk_fraction), distance)


def notional_quantity(capital: Decimal, notional_fraction: Decimal, entry: Decimal) -> Decimal:
    """Quantity worth a declared fraction of capital; the only sizing that goes without a stop (EXE-12, CON-03)."""
    if not ZERO < notional_fraction <= 1:
        raise DomainError(f"A notional fraction lies between 0 and 1, not {notional_fraction}.")
    return DOWN.divide(DOWN.multiply(capital, notional_fraction), entry)


def margin(notional: Decimal, leverage: Decimal) -> Decimal:
    """Money that a position of this notional value locks: notional ÷ leverage."""
    if leverage < 1:
        raise DomainError(f"Leverage is 1 or more, not {leverage}.")
    return settle(notional / leverage)


def kelly_fraction(win_rate: Decimal, average_win: Decimal, average_loss: Decimal) -> Decimal:
    """A quarter of the Kelly fraction p − (1 − p) ÷ (average win ÷ average loss); 0 where it is negative (EXE-15, CON-07).

    `average_loss` is a positive amount. Reference: 65 %, 150 / 80 gives 0.11583…, which is 1158 of 10 000.
    """
    if not ZERO <= win_rate <= 1:
        raise DomainError(f"A win rate lies between 0 and 1, not {win_rate}.")
    if average_win <= 0 or average_loss <= 0:
        raise DomainError("The Kelly fraction needs an average win and an average loss above zero.")
    full = win_rate - (1 - win_rate) / (average_win / average_loss)
    return max(full, ZERO) * KELLY_PART


@dataclass(frozen=True, slots=True)
class SizedValue:
    """A position value, the value that was asked for before the cap, and the risk that is really left (CON-06)."""

    value: Decimal
    requested: Decimal
    effective_risk: Decimal
    capped: bool


def fixed_fractional(
    account: Decimal, risk_fraction: Decimal, stop_fraction: Decimal, cap: Decimal = POSITION_CAP
) -> SizedValue:
    """Position value = account × risk ÷ stop distance, at most `cap` of the account (EXE-14).

    Reference: 10 000, 2 %, 5 % asks for 4000, capped to 2000, which leaves an effective risk of 1 %.
    """
    checked_fraction("risk", risk_fraction)
    if not ZERO < stop_fraction < 1:
        raise DomainError(f"A stop distance lies between 0 and 1 of the price, not {stop_fraction}.")
    requested = account * risk_fraction / stop_fraction
    value = min(requested, account * cap)
    effective = value * stop_fraction / account if account else ZERO
    return SizedValue(settle(value), settle(requested), settle(effective), value < requested)


def stake(balance: Decimal, risk_fraction: Decimal, smallest: Decimal, largest: Decimal | None) -> Decimal:
    """Stake of an options contract: balance × risk, at most `largest`; 0 (no trade) under the venue's `smallest` (EXE-17)."""
    checked_fraction("risk", risk_fraction)
    wanted = balance * risk_fraction
    if largest is not None:
        wanted = min(wanted, largest)
    return ZERO if wanted < smallest else settle(wanted)
