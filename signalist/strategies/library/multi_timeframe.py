"""Multi-timeframe confirmation: enter where most of three timeframes say the same.

On each timeframe the strength index (above or below 50), the MACD (above or below its signal) and the exponential average (close above or
below it) vote; a timeframe agrees with a direction where all three do. Three timeframes of three are a confluence of 1 (high priority),
two are 0.66 (medium), one is skipped. Enters at the bar that brings the confluence to `least` of three; leaves once no timeframe agrees any
more. The signal's strength is the confluence, its confidence the share of all nine votes. Stop and target lie a multiple of the average
true range of the candles that it runs on from the close.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

# An exponential average is cut after this many times its candles, so that an hour's fits into a history of minutes.
WINDOW = 3

parameters = {
    "minutes": Parameter(int, 1, min=1, max=240, help="Minutes of the candles that it runs on."),
    "first": Parameter(int, 5, min=1, max=1440, help="Minutes of the first timeframe, a multiple of the candles'."),
    "second": Parameter(int, 15, min=1, max=1440, help="Minutes of the second timeframe."),
    "third": Parameter(int, 60, min=1, max=1440, help="Minutes of the third timeframe."),
    "least": Parameter(int, 2, min=2, max=3, help="How many timeframes must agree."),
    "rsi": Parameter(int, 14, min=2, max=100, help="Candles of the strength index."),
    "fast": Parameter(int, 12, min=2, max=100, help="Candles of the MACD's fast average."),
    "slow": Parameter(int, 26, min=3, max=200, help="Candles of its slow average; more than the fast one's."),
    "signal": Parameter(int, 9, min=1, max=100, help="Candles of its signal line."),
    "ema": Parameter(int, 20, min=2, max=200, help="Candles of the exponential average."),
    **protection(),
}


def history(parameters: Parameters) -> int:
    """The largest timeframe's candles, the one that may be cut and the one that is under way; a bar more to see what is new."""
    p = parameters
    if p.fast >= p.slow:
        raise ValueError(f"fast ({p.fast}) must be less than slow ({p.slow})")
    if any(length % p.minutes for length in (p.first, p.second, p.third)):
        raise ValueError("every timeframe must be a multiple of the candles' minutes")
    candles = max(p.rsi + 1, WINDOW * p.slow + WINDOW * p.signal - 1, WINDOW * p.ema)
    return max((candles + 2) * max(p.first, p.second, p.third) // p.minutes, p.atr) + 1


def _votes(candles: Candles, p: Parameters, minutes: int) -> NDArray[np.float64]:
    """The three votes of one timeframe at each bar, 1 up, -1 down, 0 none; nan while it has too few candles. Shape (3, bars)."""
    higher = indicators.resample(
        candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume, minutes * 60
    )
    close = higher.close
    line = indicators.ema(close, p.fast, WINDOW * p.fast) - indicators.ema(close, p.slow, WINDOW * p.slow)
    apart = (
        indicators.rsi(close, p.rsi) - 50,
        line - indicators.ema(line, p.signal, WINDOW * p.signal),
        close - indicators.ema(close, p.ema, WINDOW * p.ema),
    )
    # What is left of equal averages after rounding is no vote.
    votes = [np.where(np.abs(value) <= 1e-9 * close, value * 0, np.sign(value)) for value in apart]
    return np.stack([higher.at_bars(vote) for vote in votes])


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """A bar is new where the one before had no such confluence."""
    votes = np.stack([_votes(candles, parameters, getattr(parameters, name)) for name in ("first", "second", "third")])
    known = ~np.isnan(votes).any(axis=(0, 1))
    up, down = ((votes == sign).all(axis=1).sum(axis=0) for sign in (1, -1))
    rising = known & indicators.crossed_above(up, parameters.least - 0.5)
    falling = known & indicators.crossed_below(-down, 0.5 - parameters.least)
    agreed = np.where(up >= down, (votes == 1).mean(axis=(0, 1)), (votes == -1).mean(axis=(0, 1)))
    return protected(
        candles,
        parameters,
        enter_long=rising,
        exit_long=known & (up == 0),
        enter_short=falling,
        exit_short=known & (down == 0),
        strength=np.maximum(up, down) / 3,
        confidence=agreed,
    )
