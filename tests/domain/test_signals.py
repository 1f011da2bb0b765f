"""Signals: which side a stop belongs on, and how a signal's prices travel to another instrument."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.signals import Direction, Levels, SignalKind, basis, levels_error, reanchor
from tests.domain.drawn import decimals, prices, spec, steps

D = Decimal
NOTHING = Levels(None, None)
directions = st.sampled_from(Direction)


@pytest.mark.parametrize(
    ("kind", "is_entry", "direction"),
    [
        (SignalKind.LONG, True, Direction.LONG),
        (SignalKind.SHORT, True, Direction.SHORT),
        (SignalKind.EXIT_LONG, False, Direction.LONG),
        (SignalKind.EXIT_SHORT, False, Direction.SHORT),
    ],
)
def test_a_signal_opens_or_closes_one_side(kind: SignalKind, is_entry: bool, direction: Direction) -> None:
    assert (kind.is_entry, kind.direction) == (is_entry, direction)


def test_there_are_four_signals_and_hold_is_none_of_them() -> None:
    assert set(SignalKind) == {"LONG", "SHORT", "EXIT_LONG", "EXIT_SHORT"}


# --- The side of stop and target ---------------------------------------------------------------


@given(prices, prices, prices)
def test_a_long_is_protected_from_below_and_aims_above(stop: Decimal, price: Decimal, target: Decimal) -> None:
    problem = levels_error(Direction.LONG, price, Levels(stop, target))
    assert (problem is None) == (stop < price < target)


@given(prices, prices, prices)
def test_a_short_is_the_mirror_of_a_long(stop: Decimal, price: Decimal, target: Decimal) -> None:
    problem = levels_error(Direction.SHORT, price, Levels(stop, target))
    assert (problem is None) == (target < price < stop)


def test_what_is_wrong_is_said() -> None:
    assert (
        levels_error(Direction.LONG, D(100), Levels(D(101), None))
        == "the stop 101 of a long must lie below the price 100"
    )
    assert (
        levels_error(Direction.SHORT, D(100), Levels(D(99), None))
        == "the stop 99 of a short must lie above the price 100"
    )
    assert (
        levels_error(Direction.LONG, D(100), Levels(D(99), D(98)))
        == "the target 98 of a long must lie above the price 100"
    )
    assert (
        levels_error(Direction.SHORT, D(9), Levels(None, D(9))) == "the target 9 of a short must lie below the price 9"
    )


@given(directions, prices)
def test_levels_that_are_not_named_are_no_error(direction: Direction, price: Decimal) -> None:
    assert levels_error(direction, price, NOTHING) is None


@pytest.mark.parametrize("level", ["0", "-5"])
def test_a_level_that_is_no_price_protects_nothing(level: str) -> None:
    assert levels_error(Direction.LONG, D(100), Levels(D(level), None)) is not None
    assert levels_error(Direction.SHORT, D(100), Levels(None, D(level))) is not None


# --- Travelling ----------------------------------------------------------------------------------


def test_levels_travel_as_ratios_to_an_instrument_of_another_currency_and_scale() -> None:
    """45 000 dollars with a stop 2 % below and a target 4 % above, carried to thousandths of a bitcoin in rupees."""
    carried = reanchor(Levels(D(44_100), D(46_800)), D(45_000), D("3735.50"), spec(tick="0.05"))
    assert carried == Levels(D("3660.80"), D("3884.90"))


@given(
    reference=prices,
    stop=decimals("0.500", "0.999", "0.001"),
    target=decimals("1.001", "2.000", "0.001"),
    price=decimals("1", "9000000"),
    tick=steps,
)
def test_the_ratios_are_kept_within_one_tick(
    reference: Decimal, stop: Decimal, target: Decimal, price: Decimal, tick: Decimal
) -> None:
    carried = reanchor(Levels(reference * stop, reference * target), reference, price, spec(tick=tick))
    for level, ratio in ((carried.stop, stop), (carried.target, target)):
        assert level is not None
        assert level % tick == 0
        assert abs(level - price * ratio) <= tick


@given(reference=prices, ratio=decimals("0.5", "1.5", "0.001"), price=prices, tick=steps)
def test_a_level_does_not_change_sides_by_more_than_the_tick(
    reference: Decimal, ratio: Decimal, price: Decimal, tick: Decimal
) -> None:
    assume(ratio != 1)
    carried = reanchor(Levels(reference * ratio, None), reference, price, spec(tick=tick)).stop
    assert carried is not None
    assert (carried - price) * (1 if ratio > 1 else -1) > -tick


@given(prices, prices, prices)
def test_on_its_own_instrument_at_its_own_price_a_level_stays(
    stop: Decimal, reference: Decimal, target: Decimal
) -> None:
    here = Levels(stop, target)
    assert reanchor(here, reference, reference, spec(tick="0.01")) == here


def test_what_is_not_named_does_not_appear_on_the_way() -> None:
    assert reanchor(NOTHING, D(100), D(7), spec()) == NOTHING


@pytest.mark.parametrize(("reference", "price"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_levels_are_carried_between_prices_above_zero_only(reference: int, price: int) -> None:
    with pytest.raises(DomainError, match="only be carried between prices above zero"):
        reanchor(Levels(D(1), None), D(reference), D(price), spec())


# --- Basis ---------------------------------------------------------------------------------------


def test_the_basis_is_how_far_the_traded_market_stands_from_the_signals() -> None:
    assert basis(D(100), D(101), D(1)) == D("0.01")
    assert basis(D(100), D("99.5"), D(1)) == D("-0.005")


def test_the_basis_looks_through_the_exchange_rate() -> None:
    assert basis(D(45_000), D(3_735_000), D(83)) == 0
    assert basis(D(45_000), D(3_772_350), D(83)) == D("0.01")


@pytest.mark.parametrize(("reference", "rate"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_a_basis_needs_a_reference_and_a_rate_above_zero(reference: int, rate: int) -> None:
    with pytest.raises(DomainError, match="needs a reference price and a rate above zero"):
        basis(D(reference), D(1), D(rate))
