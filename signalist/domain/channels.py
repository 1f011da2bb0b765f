"""Channels around a price: bands, breakout channels, and the stop that trails a trend."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signalist.domain.averages import atr_wilder, wilder_bars
from signalist.domain.indicators import Flags, Floats, ema, floats, period, rolling_max, rolling_min, rolling_std, sma


class Bands(NamedTuple):
    """Three lines, lowest first."""

    lower: Floats
    middle: Floats
    upper: Floats


class SuperTrend(NamedTuple):
    """The line that trails the market, nan while there is none, and whether the market is above it."""

    line: Floats
    rising: Flags


def bollinger(values: ArrayLike, n: int = 20, deviations: float = 2.0) -> Bands:
    """Bollinger's bands: the simple mean of `n` bars, and `deviations` standard deviations (divisor n) around it. First at bar n-1."""
    middle, spread = sma(values, n), deviations * rolling_std(values, n)
    return Bands(middle - spread, middle, middle + spread)


def donchian(high: ArrayLike, low: ArrayLike, n: int = 20) -> Bands:
    """Donchian's channel: the highest and lowest of `n` bars, this one included, and their middle. First value at bar n-1."""
    lower, upper = rolling_min(low, n), rolling_max(high, n)
    return Bands(lower, (lower + upper) / 2.0, upper)


def keltner(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 20, width: float = 2.0) -> Bands:
    """Keltner's channel: the exponential mean of `n` closes, and `width` of Wilder's average true ranges of `n` bars around it.

    It needs wilder_bars(n) + 1 bars.
    """
    middle, spread = ema(close, n), width * atr_wilder(high, low, close, n)
    middle = np.where(np.isnan(spread), np.nan, middle)
    return Bands(middle - spread, middle, middle + spread)


def supertrend(
    high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 10, width: float = 3.0, bars: int = 150
) -> SuperTrend:
    """Seban's SuperTrend: a line `width` of Wilder's average true ranges from the bar's middle, which never gives way until it breaks.

    The usual form remembers its first bar; this one follows the newest `bars` bars from anew at every bar, so that it is the same live
    and in a backtest. Both agree from where each of the two lines has broken once within them. Needs `supertrend_bars(n, bars)` bars.
    """
    closes, reach = floats(close), width * atr_wilder(high, low, close, n)
    middle = (floats(high) + floats(low)) / 2.0
    below, above = middle - reach, middle + reach
    count = len(closes) - period(bars) + 1
    line, rising = np.full(closes.shape, np.nan), np.zeros(closes.shape, dtype=np.bool_)
    if count < 1:
        return SuperTrend(line, rising)
    lower, upper, before = below[:count].copy(), above[:count].copy(), closes[:count]
    up = before >= middle[:count]
    for age in range(1, bars):
        here = slice(age, age + count)
        lower = np.where((below[here] > lower) | (before < lower), below[here], lower)
        upper = np.where((above[here] < upper) | (before > upper), above[here], upper)
        before = closes[here]
        up = _followed(up, before, lower, upper)
    line[bars - 1 :] = np.where(up, lower, upper)
    rising[bars - 1 :] = up & ~np.isnan(line[bars - 1 :])
    return SuperTrend(line, rising)


def supertrend_bars(n: int = 10, bars: int = 150) -> int:
    """How many bars `supertrend` looks at."""
    return wilder_bars(n) + bars


def _followed(up: NDArray[np.bool_], close: Floats, lower: Floats, upper: Floats) -> Flags:
    """The trend goes on until the close breaks the line that trails it."""
    return np.asarray(np.where(up, ~(close < lower), close > upper), dtype=np.bool_)
