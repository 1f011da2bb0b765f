"""Indicators: the same value to the last bit over a window and over the whole series, and the values of the textbooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from signalist.domain import indicators
from tests import examples
from tests.random_walks import random_walk

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """An indicator over closes (high and low made of them) and how many bars its first value needs at period n."""

    apply: Callable[[Floats, int], NDArray[Any]]
    bars: Callable[[int], int]


def _atr(closes: Floats, n: int) -> Floats:
    return indicators.atr(closes * 1.01, closes * 0.98, closes, n)


CASES = {
    "sma": Case(indicators.sma, lambda n: n),
    "ema": Case(indicators.ema, indicators.ema_bars),
    "short ema": Case(lambda x, n: indicators.ema(x, n, bars=n), lambda n: n),
    "rolling_sum": Case(indicators.rolling_sum, lambda n: n),
    "rolling_max": Case(indicators.rolling_max, lambda n: n),
    "rolling_min": Case(indicators.rolling_min, lambda n: n),
    "rolling_std": Case(indicators.rolling_std, lambda n: n),
    "previous": Case(indicators.previous, lambda n: n + 1),
    "true_range": Case(lambda x, n: indicators.true_range(x * 1.01, x * 0.98, x), lambda n: 2),
    "atr": Case(_atr, lambda n: n + 1),
    "rsi": Case(indicators.rsi, lambda n: n + 1),
}
prices = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=150)


@pytest.mark.parametrize("name", CASES)
@given(values=prices, n=st.integers(1, 40), data=st.data())
@settings(max_examples=examples.up_to(60), deadline=None)
def test_a_value_over_a_window_is_bit_for_bit_the_value_over_the_whole_series(
    name: str, values: list[float], n: int, data: st.DataObject
) -> None:
    case, series = CASES[name], np.array(values)
    bars = case.bars(n)
    whole = case.apply(series, n)
    for end in data.draw(st.lists(st.integers(1, len(series)), max_size=5)):
        start = data.draw(st.integers(0, max(0, end - bars)))
        windowed = case.apply(series[start:end], n)
        if end - start >= bars:
            assert windowed[-1].tobytes() == whole[end - 1].tobytes()
        else:
            assert np.isnan(windowed[-1])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 14])
def test_the_first_value_stands_at_the_declared_bar(name: str, n: int) -> None:
    series = random_walk(600, seed=5).close
    values = CASES[name].apply(series, n)
    first = CASES[name].bars(n) - 1
    assert values.shape == series.shape
    assert np.isnan(values[:first]).all()
    assert np.isfinite(values[first:]).all()


@pytest.mark.parametrize("n", [*range(1, 34), 63, 64, 65, 100])
def test_windows_hold_the_mean_sum_extremes_and_deviation_of_their_bars(n: int) -> None:
    series = random_walk(300, seed=n).close
    windows = sliding_window_view(series, n)
    assert indicators.sma(series, n)[n - 1 :] == pytest.approx(windows.mean(axis=-1), rel=1e-13)
    assert indicators.rolling_sum(series, n)[n - 1 :] == pytest.approx(windows.sum(axis=-1), rel=1e-13)
    assert (indicators.rolling_max(series, n)[n - 1 :] == windows.max(axis=-1)).all()
    assert (indicators.rolling_min(series, n)[n - 1 :] == windows.min(axis=-1)).all()
    assert indicators.rolling_std(series, n)[n - 1 :] == pytest.approx(windows.std(axis=-1), rel=1e-9, abs=1e-12)


def test_the_deviation_does_not_cancel_at_high_prices() -> None:
    series = 1e9 + np.tile([0.0, 1.0], 50)
    assert indicators.rolling_std(series, 20)[-1] == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("n", [1, 3, 10, 50])
def test_the_exponential_mean_agrees_with_the_endless_one(n: int) -> None:
    series = random_walk(2000, seed=3).close
    endless, share = series[0], 2 / (n + 1)
    values = indicators.ema(series, n)
    for bar, price in enumerate(series):
        endless += share * (price - endless)
        if bar > 1500:
            assert values[bar] == pytest.approx(endless, abs=1e-9)


@pytest.mark.parametrize("price", [0.1, 1 / 3, 46_377.0])
def test_a_flat_market_has_its_own_price_as_mean_and_moves_nowhere(price: float) -> None:
    series = np.full(300, price)
    assert set(indicators.sma(series, 30)[29:]) == {price}
    assert set(indicators.ema(series, 10)[indicators.ema_bars(10) - 1 :]) == {price}
    assert set(indicators.rolling_std(series, 20)[19:]) == {0.0}
    assert set(indicators.atr(series, series, series, 14)[14:]) == {0.0}
    assert set(indicators.rsi(series, 14)[14:]) == {50.0}


def test_the_true_range_reaches_back_over_a_gap() -> None:
    high, low, close = np.array([10.0, 15.0, 9.0]), np.array([9.0, 14.0, 8.0]), np.array([9.5, 14.5, 8.5])
    assert indicators.true_range(high, low, close)[1:].tolist() == [5.5, 6.5]
    assert indicators.atr(high, low, close, 2)[2] == 6.0


def test_the_strength_index_is_the_share_of_rises_in_all_moves() -> None:
    assert indicators.rsi(np.arange(1.0, 30.0), 14)[-1] == 100.0
    assert indicators.rsi(np.arange(30.0, 1.0, -1.0), 14)[-1] == 0.0
    assert indicators.rsi(np.array([10.0, 13.0, 12.0]), 2)[2] == 75.0


def test_a_cross_needs_the_bar_before_on_the_other_side_or_on_the_line() -> None:
    values, line = np.array([1.0, 3.0, 2.0, 3.0, 3.0, 1.0]), np.full(6, 2.0)
    assert indicators.crossed_above(values, line).tolist() == [False, True, False, True, False, False]
    assert indicators.crossed_below(values, line).tolist() == [False, False, False, False, False, True]
    assert indicators.crossed_above(values, 2.0).tolist() == indicators.crossed_above(values, line).tolist()
    assert indicators.crossed_below(values, 2.0).tolist() == indicators.crossed_below(values, line).tolist()


def test_nothing_crosses_beside_a_value_that_is_not_there() -> None:
    values = np.array([np.nan, 3.0, np.nan, 1.0, 3.0])
    assert indicators.crossed_above(values, 2.0).tolist() == [False, False, False, False, True]
    assert not indicators.crossed_below(values, 2.0).any()


def test_a_series_shorter_than_the_period_has_no_value() -> None:
    for name, case in CASES.items():
        assert np.isnan(case.apply(np.array([1.0]), 5)).all(), name
        assert len(case.apply(np.array([]), 5)) == 0, name


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_a_period_that_is_no_number_of_bars_is_refused(n: Any) -> None:
    with pytest.raises(ValueError, match="whole number of 1 or more"):
        indicators.sma(np.ones(3), n)


def test_a_table_is_no_series() -> None:
    with pytest.raises(ValueError, match="one value per bar"):
        indicators.sma(np.ones((3, 3)), 2)
