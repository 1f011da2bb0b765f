"""Candles to try a strategy on where nobody brings any: a seeded walk with trends, calm, jumps, gaps and stretches that stand still."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from signalist.domain.candles import CandleArrays

SEED = 20_240_229
FIRST_CLOSE = 1_704_067_200


# As many digits as a market shows.
_DIGITS = 6
_PHASES = 10_000


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Which made-up market: its seed, the moment (epoch seconds) before it, its first price, and where in its waves it begins."""

    seed: int = SEED
    first_close: int = FIRST_CLOSE
    level: float = 20_000.0
    phase: int = 0

    @classmethod
    def drawn(cls, seed: int, seconds: int) -> MadeUp:
        """One of many, by `seed`, on the boundaries of candles of `seconds`: no strategy knows it from the code that it is tried on."""
        draw = random.Random(seed)  # candles, not secrets
        start = draw.randrange(1_262_304_000, FIRST_CLOSE) // seconds * seconds
        return cls(seed, start, float(f"{10 ** draw.uniform(0, 5):.{_DIGITS}g}"), draw.randrange(_PHASES))

    def values(self) -> dict[str, object]:
        """As it is stored."""
        return {"seed": self.seed, "first_close": self.first_close, "level": self.level, "phase": self.phase}


def made_up_candles(bars: int, seconds: int, which: MadeUp | None = None) -> CandleArrays:
    """`bars` candles of `seconds` each, of the one market or the usual one, always the same; prices to six digits of its level."""
    which = which or MadeUp()
    level, decimals = which.level, _DIGITS - 2 - math.floor(math.log10(which.level))
    draw = np.random.default_rng(which.seed)
    at = np.arange(which.phase, which.phase + bars)
    calm = 0.5 + (np.sin(at / 170) + 1)  # volatility comes and goes
    steps = draw.normal(0, 0.002, bars) * calm + 0.0006 * np.sin(at / 90)
    steps[draw.random(bars) < 0.004] *= 8
    still = (at // 25) % 17 == 16
    steps[still] = 0.0
    close = level * np.exp(np.cumsum(steps))
    opened = np.concatenate(([level], close[:-1]))
    gap = (draw.random(bars) < 0.02) & ~still
    opened = np.where(gap, opened * (1 + draw.normal(0, 0.002, bars)), opened)
    reach = np.where(still, 0.0, np.abs(draw.normal(0, 0.0012, bars)))
    high, low = np.maximum(opened, close) * (1 + reach), np.minimum(opened, close) * (1 - reach)
    opened, high, low, close = (np.round(column, decimals) for column in (opened, high, low, close))
    volume = np.round(draw.lognormal(2.0, 0.8, bars), 4)
    time = which.first_close + seconds * np.arange(1, bars + 1, dtype=np.int64)
    return CandleArrays(time, opened, high, low, close, volume)
