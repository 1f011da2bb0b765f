"""Moving averages beside the simple and the exponential one, as windows of fixed length like all indicators of the house."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from signalist.domain.indicators import Floats, ema, ema_bars, floats, fold, period, rolling_sum, sma, true_range


def wma(values: ArrayLike, n: int) -> Floats:
    """The mean of the newest `n` values with weights n, n-1, … 1 from the newest back. First value at bar n-1."""

    def merged(newer: Floats, older: Floats, c: int, w: int) -> Floats:
        # Of a block: its weighted mean, and its simple one. Merged by differences, so that equal values stay exact.
        weights = (c + w) * (c + w + 1) / 2
        simple, weighted = newer[1], newer[0]
        weighted = weighted + (simple - newer[0]) * (w * c / weights)
        weighted = weighted + (older[0] - newer[0]) * (w * (w + 1) / 2 / weights)
        return np.stack((weighted, simple + (older[1] - simple) * (w / (c + w))))

    series = floats(values)
    mean: Floats = fold(np.stack((series, series)), period(n), merged)[0]
    return mean


def wilder(values: ArrayLike, n: int) -> Floats:
    """Wilder's smoothing, y = y + (x - y) / n, over a finite window of `wilder_bars(n)` values (see `ema`; it is that of 2n - 1 bars)."""
    return ema(values, 2 * period(n) - 1)


def wilder_bars(n: int) -> int:
    """How many bars `wilder(values, n)` looks at."""
    return ema_bars(2 * period(n) - 1)


def dema(values: ArrayLike, n: int) -> Floats:
    """The double exponential mean 2·ema - ema(ema) (Mulloy 1994). First value at bar 2·ema_bars(n) - 2."""
    once = ema(values, n)
    return 2.0 * once - ema(once, n)


def tema(values: ArrayLike, n: int) -> Floats:
    """The triple exponential mean 3·ema - 3·ema² + ema³ (Mulloy 1994). First value at bar 3·ema_bars(n) - 3."""
    once = ema(values, n)
    twice = ema(once, n)
    return 3.0 * once - 3.0 * twice + ema(twice, n)


def hma(values: ArrayLike, n: int) -> Floats:
    """Hull's mean: wma(2·wma(n / 2) - wma(n), √n), whole numbers rounded down. First value at bar n + √n - 2; n is 2 or more."""
    if period(n) < 2:
        raise ValueError(f"Hull's mean takes 2 bars or more, not {n}.")
    return wma(2.0 * wma(values, n // 2) - wma(values, n), math.isqrt(n))


def vwma(values: ArrayLike, volume: ArrayLike, n: int) -> Floats:
    """The mean of the newest `n` values weighted by volume; the simple one where nothing was traded. First value at bar n-1."""
    series, traded = floats(values), floats(volume)
    total = rolling_sum(traded, n)
    mean = sma(series, n)
    np.divide(rolling_sum(series * traded, n), total, out=mean, where=total > 0)
    return mean


def atr_wilder(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int) -> Floats:
    """The average true range as Wilder smoothed it (1978), in units of price. First value at bar wilder_bars(n)."""
    return wilder(true_range(high, low, close), n)
