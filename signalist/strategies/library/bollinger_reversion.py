"""Bollinger reversion: buy a close below the lower band once the market turns back inside, and sell one above the upper band.

The bands lie `deviations` standard deviations around a simple average. Enters when the close comes back through a band, leaves when it
reaches the average. While the average itself runs away by more than `calm` average true ranges over its own length, the market is
trending and nothing is entered: what has gone far in a trend usually goes farther. Stop and target lie a multiple of the average true
range from the close.
"""

from __future__ import annotations

import numpy as np
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "period": Parameter(int, 30, min=2, max=500, help="Bars of the average and of the deviation around it."),
    "deviations": Parameter(float, 2.0, min=0.5, max=5, help="Distance of the bands, in standard deviations."),
    "calm": Parameter(
        float, 3.0, min=0, max=100, help="How far the average may have moved over its length, in average true ranges."
    ),
    **protection(target=3.0),
}


def history(parameters: Parameters) -> int:
    """The average is compared with what it was its own length ago; a true range needs the close before it."""
    return max(2 * parameters.period, parameters.atr + 1)


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """An entry that has come back as far as the average at once is none: there is nothing left to gain."""
    average = indicators.sma(candles.close, parameters.period)
    spread = parameters.deviations * indicators.rolling_std(candles.close, parameters.period)
    atr = indicators.atr(candles.high, candles.low, candles.close, parameters.atr)

    moved = np.abs(average - indicators.previous(average, parameters.period))
    calm = (atr > 0) & (moved <= parameters.calm * atr)
    rising = indicators.crossed_above(candles.close, average - spread) & (candles.close < average)
    falling = indicators.crossed_below(candles.close, average + spread) & (candles.close > average)

    return protected(
        candles,
        parameters,
        enter_long=rising & calm,
        exit_long=indicators.crossed_above(candles.close, average),
        enter_short=falling & calm,
        exit_short=indicators.crossed_below(candles.close, average),
    )
