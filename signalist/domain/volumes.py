"""What was traded beside the price: volume-weighted prices and flows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signalist.domain.averages import vwma
from signalist.domain.indicators import Floats, floats, previous, rolling_sum

DAY = 86_400
_NOISE = 1e-12


def vwap(high: ArrayLike, low: ArrayLike, close: ArrayLike, volume: ArrayLike, n: int) -> Floats:
    """The typical price of the newest `n` bars weighted by volume; their simple mean where nothing was traded. First at bar n-1."""
    return vwma(_typical(high, low, close), volume, n)


def vwap_day(time: NDArray[np.int64], high: ArrayLike, low: ArrayLike, close: ArrayLike, volume: ArrayLike) -> Floats:
    """The typical price of the UTC day so far, weighted by volume. `time` are the bars' closes in epoch seconds.

    The first day of the candles has none, because it may be cut: it needs a day's bars and one more. The first bars of a day without
    trade have the newest typical price.
    """
    typical, traded = _typical(high, low, close), floats(volume)
    result = np.full(typical.shape, np.nan)
    days = (np.asarray(time) - 1) // DAY
    begins = np.flatnonzero(days[1:] != days[:-1]) + 1
    for begin, end in pairwise([*begins.tolist(), len(days)]):
        total = np.cumsum(traded[begin:end])
        mean = typical[begin:end].copy()
        np.divide(np.cumsum((typical * traded)[begin:end]), total, out=mean, where=total > 0)
        result[begin:end] = mean
    return result


def obv(close: ArrayLike, volume: ArrayLike) -> Floats:
    """Granville's on-balance volume: the volume of rises less that of falls, summed from the first bar, whose volume it begins with.

    Its height depends on where the candles begin, and is another one live: compare it with nothing but itself a few bars before, or
    use `obv_change`.
    """
    flow = _flow(close, volume)
    if len(flow):
        flow[0] = floats(volume)[0]
    return np.cumsum(flow)


def obv_change(close: ArrayLike, volume: ArrayLike, n: int) -> Floats:
    """By how much the on-balance volume changed over the newest `n` bars. First value at bar n."""
    return rolling_sum(_flow(close, volume), n)


def mfi(high: ArrayLike, low: ArrayLike, close: ArrayLike, volume: ArrayLike, n: int = 14) -> Floats:
    """The money flow index, 0 to 100: the share of bars whose typical price rose in the money of all that moved. 50 where none did.
    First value at bar n."""
    typical = _typical(high, low, close)
    change, money = typical - previous(typical), typical * floats(volume)
    # What is left of adding three prices in floats is no move.
    change = np.where(np.abs(change) <= _NOISE * typical, 0.0, change)
    up = rolling_sum(np.where(change > 0, money, change * 0.0), n)
    moved = up + rolling_sum(np.where(change < 0, money, change * 0.0), n)
    share = np.where(np.isnan(moved), np.nan, 0.5)
    np.divide(up, moved, out=share, where=moved > 0)
    return 100.0 * share


def _flow(close: ArrayLike, volume: ArrayLike) -> Floats:
    """Each bar's volume with the sign of its change; nan at bar 0."""
    return np.asarray(np.sign(floats(close) - previous(close)) * floats(volume), dtype=np.float64)


def _typical(high: ArrayLike, low: ArrayLike, close: ArrayLike) -> Floats:
    return (floats(high) + floats(low) + floats(close)) / 3.0
