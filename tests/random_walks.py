"""Made-up candles for tests: seeded, with gaps between bars, flat stretches and jumps."""

from __future__ import annotations

import numpy as np

from signalist.domain.candles import CandleArrays


def random_walk(bars: int, seed: int, *, start: float = 100.0, sigma: float = 0.004) -> CandleArrays:
    """`bars` one-minute candles; every ninth stretch of 20 bars stands still, and now and then the price jumps."""
    draw = np.random.default_rng(seed)
    steps = draw.normal(0, sigma, bars)
    steps[draw.random(bars) < 0.01] *= 12
    still = (np.arange(bars) // 20) % 9 == 8
    steps[still] = 0
    close = start * np.exp(np.cumsum(steps))
    opened = np.concatenate(([start], close[:-1]))
    wick = np.where(still, 0.0, np.abs(draw.normal(0, sigma / 2, bars)))
    return CandleArrays(
        time=1_700_000_040 + 60 * np.arange(bars, dtype=np.int64),
        open=opened,
        high=np.maximum(opened, close) * (1 + wick),
        low=np.minimum(opened, close) * (1 - wick),
        close=close,
        volume=draw.uniform(1, 10, bars),
    )


def flat(bars: int, price: float = 100.0) -> CandleArrays:
    """`bars` one-minute candles that all stand at `price`."""
    prices = np.full(bars, price)
    return CandleArrays(
        1_700_000_040 + 60 * np.arange(bars, dtype=np.int64), prices, prices, prices, prices, np.ones(bars)
    )


def of_closes(closes: list[float], reach: float = 1.0) -> CandleArrays:
    """Candles with these closes that reach `reach` above and below them."""
    close = np.array(closes, dtype=np.float64)
    times = 1_700_000_040 + 60 * np.arange(len(close), dtype=np.int64)
    return CandleArrays(times, close, close + reach, close - reach, close, np.ones(len(close)))


def cut(arrays: CandleArrays, start: int, end: int) -> CandleArrays:
    """The candles from index `start` to before `end`."""
    return CandleArrays(*(getattr(arrays, name)[start:end] for name in CandleArrays.__slots__))
