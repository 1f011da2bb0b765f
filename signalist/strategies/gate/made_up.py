"""Candles to try a strategy on where nobody brings any: a seeded walk with trends, calm, jumps, gaps and stretches that stand still."""

from __future__ import annotations

import numpy as np

from signalist.domain.candles import CandleArrays

SEED = 20_240_229
FIRST_CLOSE = 1_704_067_200


def made_up_candles(bars: int, seconds: int, seed: int = SEED) -> CandleArrays:
    """`bars` candles of `seconds` each, always the same ones; prices to two decimals around 20,000."""
    draw = np.random.default_rng(seed)
    at = np.arange(bars)
    calm = 0.5 + (np.sin(at / 170) + 1)  # volatility comes and goes
    steps = draw.normal(0, 0.002, bars) * calm + 0.0006 * np.sin(at / 90)
    steps[draw.random(bars) < 0.004] *= 8
    still = (at // 25) % 17 == 16
    steps[still] = 0.0
    close = 20_000.0 * np.exp(np.cumsum(steps))
    opened = np.concatenate(([20_000.0], close[:-1]))
    gap = (draw.random(bars) < 0.02) & ~still
    opened = np.where(gap, opened * (1 + draw.normal(0, 0.002, bars)), opened)
    reach = np.where(still, 0.0, np.abs(draw.normal(0, 0.0012, bars)))
    high, low = np.maximum(opened, close) * (1 + reach), np.minimum(opened, close) * (1 - reach)
    opened, high, low, close = (np.round(column, 2) for column in (opened, high, low, close))
    volume = np.round(draw.lognormal(2.0, 0.8, bars), 4)
    return CandleArrays(FIRST_CLOSE + seconds * (at + 1).astype(np.int64), opened, high, low, close, volume)
