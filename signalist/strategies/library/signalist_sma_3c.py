"""Signalist-SMA-3C: go with a simple average once three closes in a row confirm it.

Enters long at the close that is the third in a row above the average, while the average rises, and short at the third in a row below a
falling one. A single close on the other side leaves. Stop and target lie a multiple of the average true range from the close.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators

parameters = {
    "period": Parameter(int, 50, min=2, max=1000, help="Bars of the average."),
    "closes": Parameter(int, 3, min=1, max=20, help="How many closes in a row confirm."),
    "atr": Parameter(int, 14, min=1, max=500, help="Bars of the average true range."),
    "stop_atr": Parameter(
        float, 2.0, min=0.1, max=20, help="Distance of the stop from the close, in average true ranges."
    ),
    "target_atr": Parameter(
        float, 4.0, min=0.1, max=40, help="Distance of the target from the close, in average true ranges."
    ),
    "shorts": Parameter(bool, True, help="Whether to sell short as well."),
}


def history(parameters: Parameters) -> int:
    """The closes of a row and the one before them are held against the average; a true range needs the close before it."""
    return max(parameters.period + parameters.closes, parameters.atr + 1)


def _begins(flags: NDArray[np.bool_], bars: int) -> NDArray[np.bool_]:
    """Where a flag is set for exactly `bars` bars by now."""
    row = indicators.rolling_sum(flags, bars)
    return (row == bars) & (indicators.previous(flags, bars) == 0)


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """A row begins once: the close after the third is no new entry."""
    average = indicators.sma(candles.close, parameters.period)
    over, under = candles.close > average, candles.close < average
    rising = _begins(over, parameters.closes) & (average > indicators.previous(average))
    falling = _begins(under, parameters.closes) & (average < indicators.previous(average))

    atr = indicators.atr(candles.high, candles.low, candles.close, parameters.atr)
    stop, target = parameters.stop_atr * atr, parameters.target_atr * atr
    return Signals(
        enter_long=rising & (atr > 0) & (stop < candles.close),
        exit_long=under,
        enter_short=falling & (atr > 0) & (target < candles.close) & parameters.shorts,
        exit_short=over,
        stop_long=candles.close - stop,
        target_long=candles.close + target,
        stop_short=candles.close + stop,
        target_short=candles.close - target,
    )
