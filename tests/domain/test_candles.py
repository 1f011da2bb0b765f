"""Candles: what is refused before it reaches a strategy, and the arrays that indicators see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.candles import Candle, CandleArrays
from signalist.domain.errors import DomainError
from tests.domain.drawn import prices, quantities

D = Decimal
CLOSE = datetime(2022, 1, 1, 0, 1, tzinfo=UTC)
GOOD = Candle(CLOSE, open=D(100), high=D(105), low=D(95), close=D(101), volume=D(3))


@given(st.lists(prices, min_size=4, max_size=4), quantities)
def test_a_candle_whose_prices_lie_between_low_and_high_is_good(four: list[Decimal], volume: Decimal) -> None:
    low, first, last, high = sorted(four)
    candle = Candle(CLOSE, first, high, low, last, volume)
    assert candle.checked() is candle


def test_a_candle_that_stood_still_without_volume_is_good() -> None:
    assert Candle(CLOSE, D(5), D(5), D(5), D(5), D(0)).checked().volume == 0


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_finite_is_refused_by_name(field: str, value: str) -> None:
    with pytest.raises(DomainError, match=f"{field} is not a finite number"):
        replace(GOOD, **{field: D(value)}).checked()


@pytest.mark.parametrize("field", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_price_that_is_not_above_zero_is_refused_by_name(field: str, value: str) -> None:
    with pytest.raises(DomainError, match=f"{field} {value} is not above zero"):
        replace(GOOD, **{field: D(value)}).checked()


def test_a_negative_volume_is_refused() -> None:
    with pytest.raises(DomainError, match="volume -1 is negative"):
        replace(GOOD, volume=D(-1)).checked()


@pytest.mark.parametrize(
    "changes",
    [{"high": D(100)}, {"low": D("100.5")}, {"low": D(106)}, {"open": D(106)}, {"close": D(94)}, {"close": D(106)}],
)
def test_prices_outside_low_and_high_are_refused(changes: dict[str, Decimal]) -> None:
    with pytest.raises(DomainError, match="do not lie between low"):
        replace(GOOD, **changes).checked()


# --- Arrays --------------------------------------------------------------------------------------


def _row(count: int) -> list[Candle]:
    return [replace(GOOD, close_time=CLOSE + timedelta(minutes=n), volume=D(n)) for n in range(count)]


def test_arrays_hold_the_candles_oldest_first_with_their_close_in_epoch_seconds() -> None:
    arrays = CandleArrays.of(_row(3))
    assert len(arrays) == 3
    assert arrays.time.tolist() == [1640995260, 1640995320, 1640995380]
    assert arrays.volume.tolist() == [0, 1, 2]
    assert (arrays.open[0], arrays.high[0], arrays.low[0], arrays.close[0]) == (100, 105, 95, 101)


def test_no_candles_are_empty_arrays() -> None:
    assert len(CandleArrays.of([])) == 0


def test_the_tail_is_the_newest_bars_or_all_of_them() -> None:
    arrays = CandleArrays.of(_row(3))
    assert arrays.tail(2).volume.tolist() == [1, 2]
    assert len(arrays.tail(9)) == 3
    assert len(arrays.tail(0)) == 0


@pytest.mark.parametrize("order", [[1, 0], [0, 0], [0, 2, 1]])
def test_candles_out_of_order_or_twice_are_refused(order: list[int]) -> None:
    candles = _row(3)
    with pytest.raises(DomainError, match="in order of their close time"):
        CandleArrays.of([candles[n] for n in order])
