"""Weighted score: several indicators in one number, and a trade where it is high enough.

The strength index, the place between Bollinger's bands and the distance of two averages each give a score from -1 (sell) to 1 (buy): the
first two buy what has fallen far, the third goes with the trend, so the sum is highest in the dips of a rising market. Enters when the
weighted mean of the scores crosses `threshold`; leaves when it changes its side. Nothing is entered where less than `confidence` of the
weights agree, while the market moves more than `wild` times as much as usual, or within `cooldown` bars of the cross before. The signal's
strength is the score, its confidence the share of the weights that agree. Stop and target lie a multiple of the average true range from
the close.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

# How many times the bars of the average true range make the usual one.
USUAL = 10

parameters = {
    "threshold": Parameter(float, 0.7, min=0.05, max=1, help="The score that enters."),
    "rsi_weight": Parameter(float, 0.4, min=0, max=1, help="Weight of the strength index."),
    "band_weight": Parameter(float, 0.3, min=0, max=1, help="Weight of the place between the bands."),
    "trend_weight": Parameter(float, 0.3, min=0, max=1, help="Weight of the averages."),
    "rsi": Parameter(int, 14, min=2, max=500, help="Bars of the strength index."),
    "far": Parameter(float, 25.0, min=1, max=49, help="How far from 50 the index scores fully."),
    "period": Parameter(int, 20, min=2, max=500, help="Bars of the bands."),
    "deviations": Parameter(float, 2.0, min=0.5, max=5, help="Distance of the bands, in standard deviations."),
    "fast": Parameter(int, 50, min=1, max=500, help="Bars of the fast average."),
    "slow": Parameter(int, 200, min=2, max=1000, help="Bars of the slow average; more than the fast one's."),
    "confidence": Parameter(float, 0.6, min=0, max=1, help="The least share of the weights that must agree."),
    "wild": Parameter(
        float, 3.0, min=1, max=100, help="Nothing is entered while bars are this many times as long as usual."
    ),
    "cooldown": Parameter(int, 5, min=1, max=1000, help="Bars without a new entry after a cross."),
    **protection(),
}


def history(parameters: Parameters) -> int:
    """The slow average or the usual range, and the bars of the cooldown and the cross before them."""
    p = parameters
    if p.fast >= p.slow:
        raise ValueError(f"fast ({p.fast}) must be less than slow ({p.slow})")
    if p.rsi_weight + p.band_weight + p.trend_weight <= 0:
        raise ValueError("one of the weights must be above zero")
    return max(p.slow, p.rsi + 1, p.period, p.atr + 1, USUAL * p.atr + 1) + p.cooldown + 2


def _scores(candles: Candles, p: Parameters, atr: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each indicator says at each bar, -1 to 1, shape (3, bars); nan while one is not there."""
    lower, average, upper = indicators.bollinger(candles.close, p.period, p.deviations)
    reach = (upper - lower) / 2
    trend = indicators.sma(candles.close, p.fast) - indicators.sma(candles.close, p.slow)
    scores = (
        (50 - indicators.rsi(candles.close, p.rsi)) / p.far,
        np.divide(average - candles.close, reach, out=reach * 0, where=reach > 0),
        np.divide(trend, atr, out=trend * 0, where=atr > 0),
    )
    return np.clip(np.stack(scores), -1, 1)


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """Weights count as shares of their sum."""
    p = parameters
    weights = np.array([p.rsi_weight, p.band_weight, p.trend_weight])[:, np.newaxis]
    weights = weights / weights.sum()
    atr = indicators.atr(candles.high, candles.low, candles.close, p.atr)
    scores = _scores(candles, p, atr)
    # Added one after the other: a matrix product may add in another order where the candles are more.
    score = np.clip(scores[0] * weights[0] + scores[1] * weights[1] + scores[2] * weights[2], -1, 1)
    agree = np.minimum(sum(np.where(scores[n] * np.sign(score) > 0, weights[n], 0.0) for n in range(3)), 1)
    above = indicators.crossed_above(score, p.threshold)
    below = indicators.crossed_below(score, -p.threshold)
    usual = indicators.atr(candles.high, candles.low, candles.close, USUAL * p.atr)
    calm = (atr <= p.wild * usual) & (agree >= p.confidence)
    quiet = ~indicators.within(indicators.previous(above | below) == 1, p.cooldown)

    return protected(
        candles,
        parameters,
        enter_long=above & calm & quiet,
        exit_long=indicators.crossed_below(score, 0),
        enter_short=below & calm & quiet,
        exit_short=indicators.crossed_above(score, 0),
        strength=np.abs(score),
        confidence=agree,
    )
