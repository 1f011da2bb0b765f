"""Signalist-SMA-3C: go with a simple average once three closes in a row confirm it.

Enters long at the close that is the third in a row above the average, while the average rises, and short at the third in a row below a
falling one. A single close on the other side leaves. Stop and target lie a multiple of the average true range from the close.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "period": Parameter(int, 50, min=2, max=1000, help="Bars of the average."),
    "closes": Parameter(int, 3, min=1, max=20, help="How many closes in a row confirm."),
    **protection(),
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
    return protected(
        candles,
        parameters,
        enter_long=rising,
        exit_long=under,
        enter_short=falling,
        exit_short=over,
    )
