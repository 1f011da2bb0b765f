"""Exact numbers: what may be stored, rounding to a step, and amounts that know their currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.money import (
    LARGEST,
    QUANTUM,
    Money,
    ceil_to,
    exact,
    floor_to,
    nearest_to,
    plain,
    settle,
    truncate_to,
)
from tests.domain.drawn import steps, stored

D = Decimal
# Products of two stored numbers, as they come out of a calculation before they are rounded.
computed = st.builds(lambda a, b: a * b, stored.map(lambda n: n.scaleb(-9)), stored.map(lambda n: n.scaleb(-9)))


# --- What may be stored ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [0, 1, -1, "1234567.1234567891", "0.0000000001", LARGEST, -LARGEST, D("1E+3"), "999999999999999999"]
)
def test_a_number_of_eighteen_and_ten_digits_is_taken_as_it_is(value: Decimal | int | str) -> None:
    assert exact(value) == D(value)


@given(stored)
def test_every_number_that_a_column_holds_is_taken_as_it_is(value: Decimal) -> None:
    assert exact(value) == value
    assert exact(str(value)) == value


@pytest.mark.parametrize("value", [1.5, 0.1, 2.0])
def test_a_float_is_refused_because_its_digits_are_invented(value: float) -> None:
    with pytest.raises(DomainError, match="is a float"):
        exact(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity", D("NaN")])
def test_what_is_not_finite_is_refused(value: str | Decimal) -> None:
    with pytest.raises(DomainError, match="not a finite number"):
        exact(value)


@pytest.mark.parametrize("value", ["", "abc", "1,5", None, [], True])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(DomainError, match="not a number"):
        exact(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["0.00000000001", "1.12345678915", "-0.99999999999", "999999999999999999.99999999991"]
)
def test_an_eleventh_decimal_is_refused_rather_than_rounded(value: str) -> None:
    with pytest.raises(DomainError):
        exact(value)


@pytest.mark.parametrize("value", ["1000000000000000000", "-1000000000000000000", "1E+30", "1E+9999999"])
def test_a_nineteenth_digit_before_the_point_is_refused(value: str) -> None:
    with pytest.raises(DomainError, match="more than 18 digits before the point"):
        exact(value)


def test_zero_has_no_sign() -> None:
    assert str(exact("-0")) == "0"
    assert not exact("-0.00").is_signed()


@given(computed)
def test_settling_gives_the_nearest_number_that_can_be_stored(value: Decimal) -> None:
    settled = settle(value)
    assert exact(settled) == settled
    assert abs(settled - value) <= QUANTUM / 2


def test_settling_rounds_half_to_even() -> None:
    assert settle(D("0.00000000005")) == 0
    assert settle(D("0.00000000015")) == D("0.0000000002")


# --- Rounding to a step --------------------------------------------------------------------------


@given(stored, steps)
def test_the_floor_is_the_largest_multiple_that_is_not_above(value: Decimal, step: Decimal) -> None:
    floor = floor_to(value, step)
    assert floor % step == 0
    assert floor <= value < floor + step


@given(stored, steps)
def test_the_ceiling_is_the_smallest_multiple_that_is_not_below(value: Decimal, step: Decimal) -> None:
    ceiling = ceil_to(value, step)
    assert ceiling % step == 0
    assert ceiling - step < value <= ceiling


@given(stored, steps)
def test_truncation_goes_toward_zero_and_less_than_a_step(value: Decimal, step: Decimal) -> None:
    cut = truncate_to(value, step)
    assert cut % step == 0
    assert abs(cut) <= abs(value) < abs(cut) + step
    assert cut * value >= 0


@given(stored, steps)
def test_the_nearest_multiple_is_at_most_half_a_step_away(value: Decimal, step: Decimal) -> None:
    nearest = nearest_to(value, step)
    assert nearest % step == 0
    assert abs(nearest - value) * 2 <= step


@given(stored, steps)
def test_a_multiple_of_the_step_stays_where_it_is(value: Decimal, step: Decimal) -> None:
    multiple = floor_to(value, step)
    assert floor_to(multiple, step) == ceil_to(multiple, step) == multiple
    assert truncate_to(multiple, step) == nearest_to(multiple, step) == multiple


def test_half_a_step_goes_to_the_even_multiple() -> None:
    assert nearest_to(D("0.25"), D("0.5")) == 0
    assert nearest_to(D("0.75"), D("0.5")) == 1


@pytest.mark.parametrize("step", ["0", "-0.01"])
@pytest.mark.parametrize("rounded", [floor_to, ceil_to, truncate_to, nearest_to])
def test_a_step_that_is_not_above_zero_is_refused(rounded: object, step: str) -> None:
    with pytest.raises(DomainError, match="A step must be above zero"):
        rounded(D(1), D(step))  # type: ignore[operator]


# --- Printing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.5000000000", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("0.0000000001", "0.0000000001"),
        ("0E-10", "0"),
        ("-0.0", "0"),
        ("-7.10", "-7.1"),
    ],
)
def test_plain_digits_have_no_exponent_and_no_needless_zeros(value: str, text: str) -> None:
    assert plain(D(value)) == text


@given(stored)
def test_plain_digits_read_back_as_the_same_number(value: Decimal) -> None:
    assert D(plain(value)) == value


# --- Money ---------------------------------------------------------------------------------------


def test_amounts_of_one_currency_add_and_subtract() -> None:
    assert Money(D("1.10"), "USD") + Money(D("2.20"), "USD") == Money(D("3.30"), "USD")
    assert Money(D(1), "USD") - Money(D(3), "USD") == -Money(D(2), "USD")


def test_amounts_of_two_currencies_never_meet() -> None:
    with pytest.raises(DomainError, match="USD and EUR cannot be added without an exchange rate"):
        Money(D(1), "USD") + Money(D(1), "EUR")
    with pytest.raises(DomainError, match="USD and EUR"):
        Money(D(1), "USD") - Money(D(1), "EUR")


def test_an_amount_is_converted_at_a_rate_to_ten_decimals() -> None:
    assert Money(D("10"), "USD").converted(D("0.3333333333"), "EUR") == Money(D("3.3333333330"), "EUR")
    assert Money(D("0.0000000001"), "USD").converted(D("0.5"), "EUR").amount == 0


@pytest.mark.parametrize("rate", ["0", "-1"])
def test_a_rate_that_is_not_above_zero_is_refused(rate: str) -> None:
    with pytest.raises(DomainError, match="exchange rate must be above zero"):
        Money(D(1), "USD").converted(D(rate), "EUR")
