"""The candles that backtests are timed on: a walk of one-minute bars, each made of ten steps, with prices to two decimals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRST = 30_000.0
SIGMA = 0.002
STEPS = 10
FIRST_CLOSE = 1_600_000_020 // 60 * 60


def columns(bars: int, seed: int = 42) -> NDArray[np.float64]:
    """Shape (5, bars): the closes in epoch seconds, then open, high, low and close."""
    draw = np.random.default_rng(seed)
    path = FIRST * np.exp(np.cumsum(draw.normal(0, SIGMA / np.sqrt(STEPS), bars * STEPS))).reshape(bars, STEPS)
    close = path[:, -1]
    opened = np.concatenate(([FIRST], close[:-1]))
    high, low = np.maximum(opened, path.max(axis=1)), np.minimum(opened, path.min(axis=1))
    times = FIRST_CLOSE + 60.0 * np.arange(bars)
    return np.stack([times, *(np.round(column, 2) for column in (opened, high, low, close))])
