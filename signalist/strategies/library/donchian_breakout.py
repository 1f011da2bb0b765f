"""Donchian breakout: go with a market that leaves the range of its last bars.

Enters long when the close rises above the highest high of the `entry` bars before it, short when it falls below their lowest low, and
leaves when the close falls back through the opposite edge of the shorter `exit` channel. A breakout out of a range that is narrower
than `width` average true ranges is passed over: nothing has been building up there. Stop and target lie a multiple of the average true
range from the close.
"""

from __future__ import annotations

from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators, protected, protection

parameters = {
    "entry": Parameter(int, 15, min=2, max=1000, help="Bars of the channel that a close must leave."),
    "exit": Parameter(int, 6, min=1, max=1000, help="Bars of the channel that ends a position; fewer than entry's."),
    "width": Parameter(
        float, 2.0, min=0, max=50, help="The least width of the channel that is left, in average true ranges."
    ),
    **protection(atr=20, stop=3.0, target=8.0),
}


def history(parameters: Parameters) -> int:
    """The channel ends a bar before the close that leaves it, and a crossing compares with the bar before that."""
    if parameters.exit >= parameters.entry:
        raise ValueError(f"exit ({parameters.exit}) must be less than entry ({parameters.entry})")
    return max(parameters.entry + 2, parameters.atr + 1)


def signals(candles: Candles, parameters: Parameters) -> Signals:
    """The first close outside counts, not every one that follows it there."""
    top = indicators.previous(indicators.rolling_max(candles.high, parameters.entry))
    bottom = indicators.previous(indicators.rolling_min(candles.low, parameters.entry))
    ceiling = indicators.previous(indicators.rolling_max(candles.high, parameters.exit))
    floor = indicators.previous(indicators.rolling_min(candles.low, parameters.exit))

    atr = indicators.atr(candles.high, candles.low, candles.close, parameters.atr)
    wide = (atr > 0) & (top - bottom >= parameters.width * atr)
    return protected(
        candles,
        parameters,
        enter_long=indicators.crossed_above(candles.close, top) & wide,
        exit_long=indicators.crossed_below(candles.close, floor),
        enter_short=indicators.crossed_below(candles.close, bottom) & wide,
        exit_short=indicators.crossed_above(candles.close, ceiling),
    )
