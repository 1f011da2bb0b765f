"""Sizing: the reference cases of the specification, and that leverage never makes a position larger."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given

from signalist.domain.errors import DomainError
from signalist.domain.money import settle
from signalist.domain.sizing import (
    fixed_fractional,
    kelly_fraction,
    margin,
    notional_quantity,
    risk_quantity,
    stake,
)
from tests.domain.drawn import decimals, prices

D = Decimal
capitals = decimals("1", "10000000")
fractions = decimals("0.001", "0.5", "0.001")
leverages = decimals("1", "50", "0.5")


# --- Risk and stop -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capital", "risk", "quantity"),
    [("10000", "0.02", "0.2"), ("50000", "0.01", "0.5"), ("5000", "0.03", "0.15")],
    ids=["EXE-13 and A of CON-04", "B of CON-04", "C of CON-04"],
)
def test_the_reference_cases_at_45000_with_a_stop_at_44000(capital: str, risk: str, quantity: str) -> None:
    assert risk_quantity(D(capital), D(risk), D(45_000), D(44_000)) == D(quantity)


@given(capitals, fractions, prices, prices)
def test_the_loss_at_the_stop_is_the_risk_amount(
    capital: Decimal, risk: Decimal, entry: Decimal, stop: Decimal
) -> None:
    assume(entry != stop)
    loss = Fraction(risk_quantity(capital, risk, entry, stop)) * Fraction(abs(entry - stop))
    asked = Fraction(capital) * Fraction(risk)
    assert asked * (1 - Fraction(1, 10**20)) <= loss <= asked


@given(capitals, fractions, prices, prices)
def test_a_short_is_sized_like_the_long_that_mirrors_it(
    capital: Decimal, risk: Decimal, entry: Decimal, distance: Decimal
) -> None:
    long = risk_quantity(capital, risk, entry, entry - distance)
    assert risk_quantity(capital, risk, entry, entry + distance) == long


def test_a_stop_at_the_entry_gives_no_quantity() -> None:
    assert risk_quantity(D(10_000), D("0.02"), D(45_000), D(45_000)) == 0


@pytest.mark.parametrize("risk", ["2", "0.51", "0", "-0.01"])
def test_a_risk_that_can_be_no_fraction_is_refused_as_a_unit_error(risk: str) -> None:
    with pytest.raises(DomainError, match=r"risk is a fraction between 0 and 0\.5 \(0\.02 means 2 %\)"):
        risk_quantity(D(10_000), D(risk), D(45_000), D(44_000))
    with pytest.raises(DomainError, match="risk is a fraction"):
        fixed_fractional(D(10_000), D(risk), D("0.05"))
    with pytest.raises(DomainError, match="risk is a fraction"):
        stake(D(10_000), D(risk), D(1), None)


# --- Without a stop ------------------------------------------------------------------------------


def test_without_a_stop_a_declared_part_of_the_capital_is_bought() -> None:
    assert notional_quantity(D(10_000), D("0.45"), D(45_000)) == D("0.1")
    assert notional_quantity(D(10_000), D(1), D(10_000)) == 1


@pytest.mark.parametrize("fraction", ["0", "-0.1", "1.01", "10"])
def test_more_than_the_capital_is_no_notional_fraction(fraction: str) -> None:
    with pytest.raises(DomainError, match="A notional fraction lies between 0 and 1"):
        notional_quantity(D(10_000), D(fraction), D(45_000))


# --- Leverage ------------------------------------------------------------------------------------


def test_leverage_divides_the_margin_and_nothing_else() -> None:
    assert margin(D(9_000), D(1)) == 9_000
    assert margin(D(9_000), D(10)) == 900


@given(capitals, leverages)
def test_the_margin_is_the_notional_value_divided_by_the_leverage(notional: Decimal, leverage: Decimal) -> None:
    assert margin(notional, leverage) == settle(notional / leverage) <= notional


@pytest.mark.parametrize("leverage", ["0.99", "0", "-10"])
def test_a_leverage_under_one_is_refused(leverage: str) -> None:
    with pytest.raises(DomainError, match="Leverage is 1 or more"):
        margin(D(9_000), D(leverage))


# --- Fixed fractional ----------------------------------------------------------------------------


def test_the_reference_case_of_fixed_fractional_sizing_is_capped_to_a_fifth() -> None:
    """EXE-14 and CON-06: 4000 is asked for, 2000 is given, and the risk that is left is said."""
    sized = fixed_fractional(D(10_000), D("0.02"), D("0.05"))
    assert (sized.requested, sized.value, sized.capped) == (4_000, 2_000, True)
    assert sized.effective_risk == D("0.01")


def test_under_the_cap_the_effective_risk_is_the_one_asked_for() -> None:
    sized = fixed_fractional(D(10_000), D("0.02"), D("0.2"))
    assert (sized.requested, sized.value, sized.capped) == (1_000, 1_000, False)
    assert sized.effective_risk == D("0.02")


def test_an_empty_account_buys_nothing() -> None:
    sized = fixed_fractional(D(0), D("0.02"), D("0.05"))
    assert (sized.value, sized.effective_risk, sized.capped) == (0, 0, False)


@given(capitals, fractions, decimals("0.001", "0.999", "0.001"), decimals("0.01", "1"))
def test_neither_the_cap_nor_the_risk_is_ever_exceeded(
    account: Decimal, risk: Decimal, stop: Decimal, cap: Decimal
) -> None:
    sized = fixed_fractional(account, risk, stop, cap)
    cent = D("0.0000000001")
    assert sized.value <= account * cap + cent
    assert sized.effective_risk <= risk + cent
    assert sized.capped == (sized.value < sized.requested)


@pytest.mark.parametrize("stop", ["0", "1", "5", "-0.05"])
def test_a_stop_distance_that_can_be_no_part_of_the_price_is_refused(stop: str) -> None:
    with pytest.raises(DomainError, match="A stop distance lies between 0 and 1"):
        fixed_fractional(D(10_000), D("0.02"), D(stop))


# --- Kelly ---------------------------------------------------------------------------------------


def test_the_reference_case_of_kelly_is_1158_of_10000() -> None:
    """EXE-15 and CON-07: 65 % of wins, 150 against 80; a quarter of 46.33 %."""
    fraction = kelly_fraction(D("0.65"), D(150), D(80))
    assert (10_000 * fraction).to_integral_value() == 1_158


def test_a_game_that_loses_is_not_played() -> None:
    assert kelly_fraction(D("0.3"), D(100), D(100)) == 0


@given(decimals("0", "1"), decimals("0.01", "1000"), decimals("0.01", "1000"))
def test_kelly_is_a_quarter_at_most_and_never_negative(rate: Decimal, win: Decimal, loss: Decimal) -> None:
    assert 0 <= kelly_fraction(rate, win, loss) <= D("0.25")


@pytest.mark.parametrize(
    ("rate", "win", "loss"), [("1.1", 1, 1), ("-0.1", 1, 1), ("0.5", 0, 1), ("0.5", 1, 0), ("0.5", 1, -80)]
)
def test_kelly_needs_a_rate_between_0_and_1_and_amounts_above_zero(rate: str, win: int, loss: int) -> None:
    with pytest.raises(DomainError):
        kelly_fraction(D(rate), D(win), D(loss))


# --- Stakes --------------------------------------------------------------------------------------


def test_a_stake_is_the_risk_part_of_the_balance() -> None:
    """EXE-17."""
    assert stake(D(1_000), D("0.02"), D("0.35"), None) == 20


def test_a_stake_stops_at_the_largest() -> None:
    assert stake(D(1_000), D("0.02"), D("0.35"), D(5)) == 5


def test_under_the_venues_smallest_stake_no_trade_is_made() -> None:
    assert stake(D(10), D("0.02"), D("0.35"), None) == 0
    assert stake(D(1_000), D("0.02"), D(6), D(5)) == 0
    assert stake(D("17.5"), D("0.02"), D("0.35"), None) == D("0.35")
