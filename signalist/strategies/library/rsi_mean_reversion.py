"""RSI mean reversion: buy what has fallen too far once it turns, and sell what has risen too far.

Enters long when the relative strength index comes back above `oversold`, short when it comes back below `overbought`, and leaves when
the index reaches `middle`. The strength of a signal says how far the index had gone. Stop and target lie a multiple of the average
true range from the close.
"""

from __future__ import annotations

import numpy as np
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "period": Parameter(int, 14, min=2, max=500, help="Bars of the relative strength index."),
    "oversold": Parameter(float, 30.0, min=1, max=49, help="The index counts as oversold below this."),
    "overbought": Parameter(float, 70.0, min=51, max=99, help="The index counts as overbought above this."),
    "middle": Parameter(float, 50.0, min=49, max=51, help="Positions are left when the index reaches this."),
    **protection(target=3.0),
}


def history(parameters: Parameters) -> int:
    """The index needs one close more than its period and is compared with the bar before; a true range needs the close before it."""
    return max(parameters.period + 2, parameters.atr + 1)


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """A jump across the whole way back is no entry: there is nothing left to gain at the middle."""
    rsi = indicators.rsi(candles.close, parameters.period)
    before = indicators.previous(rsi)
    rising = indicators.crossed_above(rsi, parameters.oversold) & (rsi < parameters.middle)
    falling = indicators.crossed_below(rsi, parameters.overbought) & (rsi > parameters.middle)
    depth = np.where(
        rising,
        1 - before / parameters.oversold,
        np.where(falling, 1 - (100 - before) / (100 - parameters.overbought), np.nan),
    )
    return protected(
        candles,
        parameters,
        enter_long=rising,
        exit_long=indicators.crossed_above(rsi, parameters.middle),
        enter_short=falling,
        exit_short=indicators.crossed_below(rsi, parameters.middle),
        strength=depth,
    )
