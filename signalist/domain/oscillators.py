"""Oscillators and directional indicators: how fast a market moves, which way, and how sure it is of that."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from signalist.domain.averages import wilder, wilder_bars
from signalist.domain.indicators import (
    Floats,
    ema,
    ema_bars,
    floats,
    period,
    previous,
    rolling_max,
    rolling_min,
    sma,
    true_range,
)


class Macd(NamedTuple):
    """The line, its signal line, and the line less the signal."""

    line: Floats
    signal: Floats
    histogram: Floats


class Stochastic(NamedTuple):
    """The two lines of the stochastic oscillator, 0 to 100."""

    k: Floats
    d: Floats


class Directional(NamedTuple):
    """Wilder's directional movement, 0 to 100: the index, and the indicators of rises and of falls."""

    adx: Floats
    plus: Floats
    minus: Floats


def rsi_wilder(values: ArrayLike, n: int) -> Floats:
    """The relative strength index as Wilder smoothed it (1978), 0 to 100; 50 where nothing moved. First value at bar wilder_bars(n)."""
    series = floats(values)
    change = series - previous(series)
    up, down = wilder(np.maximum(change, 0.0), n), wilder(np.maximum(-change, 0.0), n)
    return 100.0 * _share(up, up + down)


def macd(values: ArrayLike, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """Appel's convergence and divergence of two exponential means. The signal needs `macd_bars(fast, slow, signal)` bars."""
    if period(fast) >= period(slow):
        raise ValueError(f"fast ({fast}) must be less than slow ({slow})")
    line = ema(values, fast) - ema(values, slow)
    mean = ema(line, signal)
    return Macd(line, mean, line - mean)


def macd_bars(fast: int = 12, slow: int = 26, signal: int = 9) -> int:
    """How many bars the signal line of `macd` looks at."""
    return max(ema_bars(fast), ema_bars(slow)) + ema_bars(signal) - 1


def stochastic(
    high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 14, smooth: int = 3, signal: int = 3
) -> Stochastic:
    """Lane's stochastic: where the close lies in the range of `n` bars, smoothed over `smooth`; `d` is its mean of `signal` bars.

    50 where the range is nothing. `smooth` of 1 is the fast form. First d at bar n + smooth + signal - 3.
    """
    lowest = rolling_min(low, n)
    k = sma(100.0 * _share(floats(close) - lowest, rolling_max(high, n) - lowest), smooth)
    return Stochastic(k, sma(k, signal))


def williams_r(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 14) -> Floats:
    """Williams' %R, -100 to 0: how far the close lies under the highest of `n` bars. First value at bar n-1."""
    highest = rolling_max(high, n)
    return -100.0 * _share(highest - floats(close), highest - rolling_min(low, n))


def cci(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 20) -> Floats:
    """Lambert's commodity channel index: the typical price's distance from its mean in units of 0.015 mean deviations. 0 where
    nothing moved. First value at bar n-1."""
    typical = (floats(high) + floats(low) + floats(close)) / 3.0
    mean = sma(typical, n)
    deviation = np.abs(typical - mean)
    for age in range(1, n):
        deviation += np.abs(previous(typical, age) - mean)
    index = np.where(np.isnan(mean), np.nan, 0.0)
    np.divide(typical - mean, 0.015 * deviation / n, out=index, where=deviation > 0)
    return index


def roc(values: ArrayLike, n: int) -> Floats:
    """The change over `n` bars as a fraction of the value then. First value at bar n."""
    return floats(values) / previous(values, n) - 1.0


def momentum(values: ArrayLike, n: int) -> Floats:
    """The change over `n` bars. First value at bar n."""
    return floats(values) - previous(values, n)


def directional(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 14) -> Directional:
    """Wilder's directional movement (1978). `plus` and `minus` first at bar wilder_bars(n); `adx` needs `adx_bars(n)` bars.

    The larger of the rise of the high and the fall of the low counts where it is above zero, the other does not.
    """
    up, down = floats(high) - previous(high), previous(low) - floats(low)
    moved = np.isnan(up)
    rises = np.where((up > down) & (up > 0), up, np.where(moved, np.nan, 0.0))
    falls = np.where((down > up) & (down > 0), down, np.where(moved, np.nan, 0.0))
    ranges = wilder(true_range(high, low, close), n)
    plus = 100.0 * _share(wilder(rises, n), ranges, 0.0)
    minus = 100.0 * _share(wilder(falls, n), ranges, 0.0)
    index = 100.0 * _share(np.abs(plus - minus), plus + minus, 0.0)
    return Directional(wilder(index, n), plus, minus)


def adx_bars(n: int = 14) -> int:
    """How many bars the index of `directional` looks at."""
    return 2 * wilder_bars(n)


def _share(part: Floats, whole: Floats, nothing: float = 0.5) -> Floats:
    """part ÷ whole; `nothing` where the whole is zero, nan where it is not known."""
    share = np.where(np.isnan(whole), np.nan, nothing)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
