"""Bollinger breakout: go with a market that leaves its bands after they had been tight.

Enters long when the close rises above the upper band, short when it falls below the lower one, where the bands had been narrower than
`squeeze` of their widest over the last `window` bars within the last `fresh` ones. Leaves when the close is back at the average. Stop and
target lie a multiple of the average true range from the close.
"""

from __future__ import annotations

from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "period": Parameter(int, 20, min=2, max=500, help="Bars of the average and of the deviation around it."),
    "deviations": Parameter(float, 2.0, min=0.5, max=5, help="Distance of the bands, in standard deviations."),
    "window": Parameter(int, 100, min=2, max=2000, help="Bars over which the widest bands are looked for."),
    "squeeze": Parameter(float, 0.35, min=0.01, max=1, help="Bands count as tight below this share of the widest."),
    "fresh": Parameter(int, 5, min=1, max=200, help="For how many bars the tightness counts."),
    **protection(),
}


def history(parameters: Parameters) -> int:
    """The oldest bar that can count as tight is held against the widest of a window that ends there, each of them a deviation."""
    return max(parameters.period + parameters.window + parameters.fresh - 1, parameters.atr + 1)


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """A market that stood still has no bands to leave."""
    lower, average, upper = indicators.bollinger(candles.close, parameters.period, parameters.deviations)
    width = upper - lower
    tight = (width > 0) & (width < parameters.squeeze * indicators.rolling_max(width, parameters.window))
    ready = indicators.within(indicators.previous(tight) == 1, parameters.fresh)
    rising = indicators.crossed_above(candles.close, upper) & ready
    falling = indicators.crossed_below(candles.close, lower) & ready
    return protected(
        candles,
        parameters,
        enter_long=rising,
        exit_long=indicators.crossed_below(candles.close, average),
        enter_short=falling,
        exit_short=indicators.crossed_above(candles.close, average),
    )
