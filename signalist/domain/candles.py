"""Candles: one exact row each for the books, and float arrays for indicators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from .errors import DomainError


@dataclass(frozen=True, slots=True)
class Candle:
    """A closed candle. `close_time` is aware UTC; prices are in the instrument's quote currency, volume in its base units."""

    close_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def checked(self) -> Candle:
        """This candle, or DomainError that says what is wrong with its numbers."""
        for name in ("open", "high", "low", "close", "volume"):
            value: Decimal = getattr(self, name)
            if not value.is_finite():
                raise DomainError(f"{name} is not a finite number")
            if value < 0 or (value == 0 and name != "volume"):
                raise DomainError(
                    f"{name} {value} is not above zero" if name != "volume" else f"volume {value} is negative"
                )
        if self.high < max(self.open, self.close, self.low) or self.low > min(self.open, self.close):
            raise DomainError(
                f"open {self.open} and close {self.close} do not lie between low {self.low} and high {self.high}"
            )
        return self


Numbers = tuple[int, tuple[float, float, float, float, float]]


@dataclass(frozen=True, slots=True)
class CandleArrays:
    """The same candles for indicators: arrays of equal length n, oldest first; `time` is the close in epoch seconds."""

    time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)

    def tail(self, bars: int) -> CandleArrays:
        """The newest `bars` candles (all of them when there are fewer)."""
        start = max(0, len(self) - bars)
        return CandleArrays(*(getattr(self, name)[start:] for name in CandleArrays.__slots__))

    @classmethod
    def of(cls, candles: Sequence[Candle]) -> CandleArrays:
        """The arrays of `candles`, which must be in order of time."""
        return cls.of_numbers([numbers(candle) for candle in candles])

    @classmethod
    def of_numbers(cls, rows: Sequence[Numbers]) -> CandleArrays:
        """The same from what `numbers` says of each candle."""
        times = np.array([row[0] for row in rows], dtype=np.int64)
        values = np.array([row[1] for row in rows], dtype=np.float64).reshape(-1, 5)
        if len(times) > 1 and not bool((times[1:] > times[:-1]).all()):
            raise DomainError("Candles must be in order of their close time, without duplicates.")
        return cls(times, *np.ascontiguousarray(values.T))


def numbers(candle: Candle) -> Numbers:
    """What the arrays hold of one candle: the close in epoch seconds, and open, high, low, close and volume."""
    prices = float(candle.open), float(candle.high), float(candle.low), float(candle.close), float(candle.volume)
    return int(candle.close_time.timestamp()), prices
