"""Candles in whole numbers: each price in ticks of the instrument."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalist.domain.candles import CandleArrays
from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentSpec

Ticks = NDArray[np.int64]
# A float holds every whole number up to here.
_LARGEST_PRICE = 2**52


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles in ticks: arrays of length n, oldest first; `time` is each bar's close in epoch seconds, `seconds` how long a bar is."""

    seconds: int
    time: NDArray[np.int64]
    open: Ticks
    high: Ticks
    low: Ticks
    close: Ticks

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, candles: CandleArrays, spec: InstrumentSpec, seconds: int) -> Bars:
        """`candles` on the price grid of `spec`, each price at its nearest tick.

        Raises DomainError for a price that is not finite, not above zero or too large for the grid, with the bar.
        """
        columns, ticks = {}, np.empty(len(candles))
        for name in ("open", "high", "low", "close"):
            np.rint(np.divide(getattr(candles, name), float(spec.tick), out=ticks), out=ticks)
            # A price that is none makes the extremes none.
            if len(ticks) and not (ticks.min() >= 1 and ticks.max() < _LARGEST_PRICE):
                bad = ~((ticks >= 1) & (ticks < _LARGEST_PRICE))
                first = int(np.argmax(bad))
                price = float(getattr(candles, name)[first])
                raise DomainError(f"The {name} {price!r} of bar {first} is no price on a grid of {spec.tick}.")
            columns[name] = ticks.astype(np.int64)
        return cls(seconds, candles.time, **columns)

    def begins(self, bar: int) -> int:
        """When a bar begins, in epoch seconds."""
        return int(self.time[bar]) - self.seconds

    def cut(self, begin: int, end: int) -> Bars:
        """The bars from index `begin` to before `end`, which look at the same arrays."""
        columns = (self.time, self.open, self.high, self.low, self.close)
        return Bars(self.seconds, *(column[begin:end] for column in columns))
