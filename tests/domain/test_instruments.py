"""Instruments: their price and quantity grids, their minimums, and who can be sold short."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given

from signalist.domain.instruments import InstrumentKind
from tests.domain.drawn import prices, quantities, spec, steps

D = Decimal


def test_an_instrument_is_named_by_venue_and_symbol() -> None:
    assert spec().name == "paper:BTC-PERP"


def test_only_spot_cannot_be_sold_short() -> None:
    assert spec().can_short
    assert not spec(kind=InstrumentKind.SPOT).can_short


@given(prices, steps)
def test_a_price_lands_on_the_nearest_tick_and_never_at_nothing(value: Decimal, tick: Decimal) -> None:
    price = spec(tick=tick).price(value)
    assert price % tick == 0
    assert price >= tick
    assert abs(price - value) * 2 <= tick or price == tick


@given(quantities, steps)
def test_a_quantity_is_cut_to_the_lot_and_never_rounded_up(value: Decimal, lot: Decimal) -> None:
    quantity = spec(lot=lot).quantity(value)
    assert quantity % lot == 0
    assert quantity <= value < quantity + lot


def test_an_order_at_the_minimums_is_large_enough() -> None:
    instrument = spec(min_quantity=D("0.01"), min_notional=D(10))
    assert instrument.too_small(D("0.01"), D(1000)) is None


def test_an_order_under_the_minimum_quantity_is_too_small() -> None:
    instrument = spec(min_quantity=D("0.010"), min_notional=D(10))
    assert instrument.too_small(D("0.009"), D(99999)) == "quantity 0.009 is under the minimum 0.01 BTC"


def test_an_order_under_the_minimum_value_is_too_small() -> None:
    instrument = spec(min_quantity=D("0.01"), min_notional=D(10))
    assert instrument.too_small(D("0.01"), D("999.9")) == "value 9.999 is under the minimum 10 USD"


@pytest.mark.parametrize("quantity", ["0", "-1"])
def test_nothing_is_too_small_even_where_the_venue_has_no_minimum(quantity: str) -> None:
    assert spec(min_quantity=D(-5)).too_small(D(quantity), D(100)) is not None
