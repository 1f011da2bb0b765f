"""MACD: go with the convergence and divergence of two exponential averages when it crosses its signal line.

Enters long when the line crosses above its signal below zero, where a rise has the most way to go, short when it crosses below above zero;
`anywhere` takes every cross. The opposite cross leaves. Stop and target lie a multiple of the average true range from the close.
"""

from __future__ import annotations

import numpy as np
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "fast": Parameter(int, 12, min=2, max=200, help="Bars of the fast average."),
    "slow": Parameter(int, 26, min=3, max=400, help="Bars of the slow average; more than the fast one's."),
    "signal": Parameter(int, 9, min=1, max=200, help="Bars of the signal line."),
    "anywhere": Parameter(bool, False, help="Whether a cross counts on either side of zero."),
    **protection(),
}


def history(parameters: Parameters) -> int:
    """A cross compares two bars of the signal line; a true range needs the close before it."""
    if parameters.fast >= parameters.slow:
        raise ValueError(f"fast ({parameters.fast}) must be less than slow ({parameters.slow})")
    return max(indicators.macd_bars(parameters.fast, parameters.slow, parameters.signal), parameters.atr) + 1


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """What is left of two equal averages after rounding is no cross."""
    line, signal, _ = indicators.macd(candles.close, parameters.fast, parameters.slow, parameters.signal)
    moved = np.abs(line - signal) > 1e-9 * candles.close
    above = indicators.crossed_above(line, signal) & moved
    below = indicators.crossed_below(line, signal) & moved
    return protected(
        candles,
        parameters,
        enter_long=above & (parameters.anywhere | (line < 0)),
        exit_long=below,
        enter_short=below & (parameters.anywhere | (line > 0)),
        exit_short=above,
    )
