"""Helpers that look along the bars: how long ago something was, and the candles of a higher timeframe without what is not closed yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signalist.domain.indicators import Flags, Floats, floats, period


def bars_since(flags: ArrayLike, limit: int) -> Floats:
    """How many bars ago a flag was last set, 0 at the bar itself; nan where it was not within the newest `limit` bars.

    The limit is what keeps it the same live and in a backtest: a strategy that asks for it looks at `limit` bars.
    """
    given = np.asarray(flags, dtype=np.bool_)
    bars = np.arange(len(given), dtype=np.float64)
    ago = bars - np.maximum.accumulate(np.where(given, bars, -np.inf)) if len(given) else bars
    return np.where(ago < period(limit), ago, np.nan)


@dataclass(frozen=True)
class Higher:
    """Closed candles of a higher timeframe, oldest first. `of_bar` says for each bar which of them was the newest one closed at its
    close, -1 where none was."""

    time: NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    of_bar: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time)

    def at_bars(self, values: ArrayLike) -> Floats:
        """One value per higher candle, brought to the bars: what was known at each bar's close; nan while nothing was."""
        known = np.append(floats(values), np.nan)
        if len(known) != len(self) + 1:
            raise ValueError(f"There are {len(self)} higher candles and {len(known) - 1} values.")
        return known[self.of_bar]


def resample(
    time: NDArray[np.int64],
    open: ArrayLike,  # noqa: A002  # as every candle calls it
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    seconds: int,
) -> Higher:
    """The candles of `seconds` (a multiple of the bars' own) that are made of these bars; `time` are the bars' closes in epoch seconds.

    A higher candle is known from the bar on that closes it, or from the first one after that where its last minutes had no trade. The
    first one may be cut and is left out, and so is the one that is not closed: nothing looks ahead.
    """
    times = np.asarray(time)
    groups = -(-times // period(seconds))
    begins = np.flatnonzero(groups[1:] != groups[:-1]) + 1
    if not len(begins):
        none = np.empty(0)
        return Higher(np.empty(0, np.int64), none, none, none, none, none, np.full(len(times), -1))
    closes = groups[begins] * seconds
    ends = np.append(begins[1:], len(times)) - 1
    closed = slice(len(closes) if times[-1] >= closes[-1] else len(closes) - 1)
    return Higher(
        time=closes[closed],
        open=floats(open)[begins][closed],
        high=np.maximum.reduceat(floats(high), begins)[closed],
        low=np.minimum.reduceat(floats(low), begins)[closed],
        close=floats(close)[ends][closed],
        volume=np.add.reduceat(floats(volume), begins)[closed],
        of_bar=np.searchsorted(closes, times, side="right") - 1,
    )


def within(flags: ArrayLike, bars: int) -> Flags:
    """Where a flag was set within the newest `bars` bars."""
    return ~np.isnan(bars_since(flags, bars))
