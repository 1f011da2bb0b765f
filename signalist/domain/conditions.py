"""Whether a market rises, falls or goes sideways, by Wilder's directional movement; and how much its price moves."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from signalist.domain.indicators import Floats, floats, previous, rolling_std, rolling_sum

TRENDING = 25.0
"""A directional index above this says that there is a trend (J. W. Wilder, New Concepts in Technical Trading Systems, 1978)."""


class Condition(StrEnum):
    """How a market goes; UNKNOWN where there are too few bars to say."""

    BULL = "bull"
    BEAR = "bear"
    SIDEWAYS = "sideways"
    UNKNOWN = "unknown"


def condition(high: ArrayLike, low: ArrayLike, close: ArrayLike, n: int = 14) -> Condition:
    """The condition at the newest bar: a trend where the average directional index of `n` bars says so, and which way it goes.

    With simple sums of `n` bars in place of Wilder's smoothing, as with `rsi`: it needs `condition_bars(n)` bars and no more.
    """
    highs, lows = floats(high), floats(low)
    if len(highs) < condition_bars(n):
        return Condition.UNKNOWN
    up, down = highs - previous(highs), previous(lows) - lows
    rises = rolling_sum(np.where((up > down) & (up > 0), up, 0.0)[1:], n)
    falls = rolling_sum(np.where((down > up) & (down > 0), down, 0.0)[1:], n)
    both = rises + falls
    index = np.zeros_like(both)
    np.divide(np.abs(rises - falls), both, out=index, where=both > 0)
    strength = 100.0 * float(np.mean(index[-n:]))
    if strength < TRENDING or rises[-1] == falls[-1]:
        return Condition.SIDEWAYS
    return Condition.BULL if rises[-1] > falls[-1] else Condition.BEAR


def condition_bars(n: int = 14) -> int:
    """How many bars `condition` looks at."""
    return 2 * n + 1


def volatility(close: ArrayLike, n: int = 20) -> Floats:
    """The standard deviation (divisor n) of the last `n` bars' returns, in percent of the price. First value at bar n."""
    closes = floats(close)
    returns = np.full(len(closes), np.nan)
    returns[1:] = (closes[1:] / closes[:-1] - 1.0) * 100.0
    found = np.full(len(closes), np.nan)
    if len(closes) > n:
        found[1:] = rolling_std(returns[1:], n)
    return found
