"""Moving-average crossover: follow the trend that a fast average shows against a slow one.

Enters long when the fast simple average of the close crosses above the slow one, short when it crosses below. The opposite cross
leaves. Stop and target lie a multiple of the average true range from the close, so that they widen with the market's own moves.
"""

from __future__ import annotations

from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "fast": Parameter(int, 10, min=1, max=500, help="Bars of the fast average."),
    "slow": Parameter(int, 30, min=2, max=1000, help="Bars of the slow average; more than the fast one's."),
    **protection(),
}


def history(parameters: Parameters) -> int:
    """A cross compares two bars of the slow average; a true range needs the close before it."""
    if parameters.fast >= parameters.slow:
        raise ValueError(f"fast ({parameters.fast}) must be less than slow ({parameters.slow})")
    return max(parameters.slow, parameters.atr) + 1


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """Entries need a true range to protect them with; exits do not."""
    fast = indicators.sma(candles.close, parameters.fast)
    slow = indicators.sma(candles.close, parameters.slow)
    above = indicators.crossed_above(fast, slow)
    below = indicators.crossed_below(fast, slow)
    return protected(
        candles,
        parameters,
        enter_long=above,
        exit_long=below,
        enter_short=below,
        exit_short=above,
    )
