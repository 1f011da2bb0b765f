"""3RSI: three strength indices of growing length must agree that the market went too far, and the shortest must turn.

Enters long when the shortest index comes back above `oversold` while the middle one is below `agree_low` and the longest below its own
middle of 50; short when it comes back below `overbought` while the middle one is above the mirrored bound and the longest above 50.
Leaves when the middle index crosses 50. Stop and target lie a multiple of the average true range from the close.
"""

from __future__ import annotations

from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "short": Parameter(int, 5, min=2, max=500, help="Bars of the shortest index."),
    "middle": Parameter(int, 14, min=2, max=500, help="Bars of the middle index."),
    "long": Parameter(int, 28, min=2, max=1000, help="Bars of the longest index."),
    "oversold": Parameter(float, 25.0, min=1, max=49, help="The shortest index counts as oversold below this."),
    "agree": Parameter(float, 45.0, min=1, max=50, help="The middle index agrees below this, and above 100 less this."),
    **protection(target=3.0),
}


def history(parameters: Parameters) -> int:
    """An index needs one close more than its period and is compared with the bar before; a true range needs the close before it."""
    if not parameters.short < parameters.middle < parameters.long:
        raise ValueError("short must be less than middle, and middle less than long")
    return max(parameters.long + 2, parameters.atr + 1)


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """The three look at the same closes over more and more of the past."""
    short, middle, long = (
        indicators.rsi(candles.close, n) for n in (parameters.short, parameters.middle, parameters.long)
    )
    rising = indicators.crossed_above(short, parameters.oversold) & (middle < parameters.agree) & (long < 50)
    falling = (
        indicators.crossed_below(short, 100 - parameters.oversold) & (middle > 100 - parameters.agree) & (long > 50)
    )
    return protected(
        candles,
        parameters,
        enter_long=rising,
        exit_long=indicators.crossed_above(middle, 50),
        enter_short=falling,
        exit_short=indicators.crossed_below(middle, 50),
    )
