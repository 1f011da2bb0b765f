"""Indicators over candle arrays: numpy float64 in, float64 of the same length out, nan while there are too few bars.

Every value depends on a fixed number of the newest bars and is folded from them in an order that does not depend on the length of
the series: a window of n bars is put together from blocks of 1, 2, 4, 8 … bars by element-wise operations only. The value at a bar
is therefore the same to the last bit over `history` bars (live) and over years (backtest), which no running sum can promise, and a
window costs about 2·log2(n) passes instead of n. A flat series has exactly its own price as its mean.

What is built on these stands in averages.py, oscillators.py, channels.py, volumes.py and higher.py; indicator_library.py names all of it.
These files are also given to strategies in the sandbox: they import nothing but numpy and each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# combine(newer, older, c, w): the fold of c + w bars from those of the newer c and the older w.
Combine = Callable[[Floats, Floats, int, int], Floats]

# An average keeps as many bars as are needed for the weight of all older ones to fall below this share.
_EMA_REMAINDER = 1e-12
# Bars that are folded at a time.
_STRETCH = 16_384


def sma(values: ArrayLike, n: int) -> Floats:
    """The mean of the newest `n` values. First value at bar n-1."""
    return _weighted_mean(floats(values), period(n), decay=1.0)


def ema(values: ArrayLike, n: int, bars: int | None = None) -> Floats:
    """The exponential mean with smoothing 2 / (n + 1) over a finite window of `bars` values (`ema_bars(n)` unless told).

    The endless form, y = y + 2 / (n + 1) · (x - y), never forgets its first value; this one weighs the newest `bars` values with
    (1 - 2 / (n + 1)) ** age, normalised. With the default window both agree to 1e-12 of the prices' range. First value at bar bars-1.
    """
    return _weighted_mean(
        floats(values), ema_bars(n) if bars is None else period(bars), decay=1.0 - 2.0 / (period(n) + 1)
    )


def ema_bars(n: int) -> int:
    """How many bars `ema(values, n)` looks at: older ones would weigh less than 1e-12 together."""
    decay = 1.0 - 2.0 / (period(n) + 1)
    return 1 if decay == 0.0 else math.ceil(math.log(_EMA_REMAINDER) / math.log(decay))


def true_range(high: ArrayLike, low: ArrayLike, close: ArrayLike) -> Floats:
    """The range of each bar including the gap from the bar before (Wilder 1978). First value at bar 1: bar 0 has no bar before."""
    before = previous(close)
    return np.asarray(np.maximum(floats(high), before) - np.minimum(floats(low), before), dtype=np.float64)


def atr(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int) -> Floats:
    """The average true range as the simple mean of `n` true ranges, in units of price. First value at bar n.

    Wilder's own smoothing never forgets its start; the simple mean needs n + 1 bars and no more.
    """
    return sma(true_range(high, low, close), n)


def rsi(values: ArrayLike, n: int) -> Floats:
    """Cutler's relative strength index, 0 to 100: the share of rises in all moves of the newest `n` changes. First value at bar n.

    100 · up / (up + down) with simple means; 50 where nothing moved. Wilder's smoothing would never forget its start.
    """
    series = floats(values)
    change = series - previous(series)
    up = sma(np.maximum(change, 0.0), n)
    moved = up + sma(np.maximum(-change, 0.0), n)
    share = np.where(np.isnan(moved), np.nan, 0.5)
    np.divide(up, moved, out=share, where=moved > 0)
    return 100.0 * share


def rolling_sum(values: ArrayLike, n: int) -> Floats:
    """The sum of the newest `n` values. First value at bar n-1."""
    return fold(floats(values), period(n), lambda newer, older, c, w: newer + older)


def rolling_max(values: ArrayLike, n: int) -> Floats:
    """The highest of the newest `n` values, nan where one of them is nan. First value at bar n-1."""
    return fold(floats(values), period(n), lambda newer, older, c, w: np.maximum(newer, older))


def rolling_min(values: ArrayLike, n: int) -> Floats:
    """The lowest of the newest `n` values, nan where one of them is nan. First value at bar n-1."""
    return fold(floats(values), period(n), lambda newer, older, c, w: np.minimum(newer, older))


def rolling_std(values: ArrayLike, n: int) -> Floats:
    """The standard deviation (divisor n, as in Bollinger bands) of the newest `n` values. First value at bar n-1.

    Means and squared deviations of blocks are merged pairwise (Chan, Golub, LeVeque 1979), so that nothing cancels at high prices.
    """
    series = floats(values)

    def merged(newer: Floats, older: Floats, c: int, w: int) -> Floats:
        apart = older[0] - newer[0]
        return np.stack((newer[0] + apart * (w / (c + w)), newer[1] + older[1] + apart * apart * (c * w / (c + w))))

    squares: Floats = fold(np.stack((series, np.zeros_like(series))), period(n), merged)[1]
    return np.asarray(np.sqrt(squares / n), dtype=np.float64)


def previous(values: ArrayLike, bars: int = 1) -> Floats:
    """The values of `bars` bars before; nan where there is none."""
    series = floats(values)
    shifted = np.full(series.shape, np.nan)
    shifted[period(bars) :] = series[:-bars]
    return shifted


def crossed_above(values: ArrayLike, line: ArrayLike) -> Flags:
    """Where `values` are above `line` (an array or one number) and were not at the bar before. Never at bar 0 or beside a nan."""
    return _crossed(*np.broadcast_arrays(floats(values), _numbers(line)))


def crossed_below(values: ArrayLike, line: ArrayLike) -> Flags:
    """Where `values` are below `line` (an array or one number) and were not at the bar before. Never at bar 0 or beside a nan."""
    series, other = np.broadcast_arrays(floats(values), _numbers(line))
    return _crossed(other, series)


def _crossed(upper: Floats, lower: Floats) -> Flags:
    crossed = np.zeros(upper.shape, dtype=np.bool_)
    crossed[1:] = (upper[1:] > lower[1:]) & (upper[:-1] <= lower[:-1])
    return crossed


def _weighted_mean(series: Floats, n: int, decay: float) -> Floats:
    """The mean of `n` values weighted with decay ** age; merged as newer + difference · share, so that equal values stay exact."""

    def weight(bars: int) -> float:
        return float(bars) if decay == 1.0 else (1.0 - decay**bars) / (1.0 - decay)

    def merged(newer: Floats, older: Floats, c: int, w: int) -> Floats:
        share = decay**c * weight(w) / weight(c + w)
        mean = older - newer
        mean *= share
        mean += newer
        return mean

    return fold(series, n, merged)


def fold(values: Floats, n: int, combine: Combine) -> Floats:
    """Fold each run of `n` bars (last axis) to one value at its newest bar, from blocks whose widths are the binary digits of n.

    A trimmed array of span s starts at the value of bar s-1. `folded` spans the newest `c` bars and `block` the next older `w`.
    """
    bars = values.shape[-1]
    result = np.empty(values.shape)
    result[..., : n - 1] = np.nan
    # By stretches that stay in the processor's cache with all that is made of them: what a value is made of stays the same.
    stretch = max(_STRETCH, 4 * n)
    for begin in range(n - 1, bars, stretch):
        end = min(begin + stretch, bars)
        result[..., begin:end] = _folded(values[..., begin - n + 1 : end], n, combine)
    return result


def _folded(values: Floats, n: int, combine: Combine) -> Floats:
    """The folds of `n` bars and more: the first is that of the bars up to n-1."""
    block, w = values, 1
    folded, c = values, n & 1
    while (rest := n // (2 * w)) > 0:
        block, w = combine(block[..., w:], block[..., :-w], w, w), 2 * w
        if rest & 1:
            newer = folded[..., w:]
            folded, c = (combine(newer, block[..., : newer.shape[-1]], c, w) if c else block), c + w
    return folded


def floats(values: ArrayLike) -> Floats:
    """`values` as a series of floats. Raises ValueError for anything but one value per bar."""
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"An indicator takes one value per bar, not an array of shape {series.shape}.")
    return series


def _numbers(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


def period(n: int) -> int:
    """`n` as a number of bars. Raises ValueError for what is none."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"A number of bars must be a whole number of 1 or more, not {n!r}.")
    return int(n)
