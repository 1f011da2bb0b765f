"""Donchian breakout: go with a market that leaves the range of its last bars.

Enters long when the close rises above the highest high of the `entry` bars before it, short when it falls below their lowest low, and
leaves when the close falls back through the opposite edge of the shorter `exit` channel. A breakout out of a range that is narrower
than `width` average true ranges is passed over: nothing has been building up there. Stop and target lie a multiple of the average true
range from the close.
"""

from __future__ import annotations

from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators

parameters = {
    "entry": Parameter(int, 15, min=2, max=1000, help="Bars of the channel that a close must leave."),
    "exit": Parameter(int, 6, min=1, max=1000, help="Bars of the channel that ends a position; fewer than entry's."),
    "width": Parameter(
        float, 2.0, min=0, max=50, help="The least width of the channel that is left, in average true ranges."
    ),
    "atr": Parameter(int, 20, min=1, max=500, help="Bars of the average true range."),
    "stop_atr": Parameter(
        float, 3.0, min=0.1, max=20, help="Distance of the stop from the close, in average true ranges."
    ),
    "target_atr": Parameter(
        float, 8.0, min=0.1, max=40, help="Distance of the target from the close, in average true ranges."
    ),
    "shorts": Parameter(bool, True, help="Whether to sell short when the market leaves its range downwards."),
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
    stop, target = parameters.stop_atr * atr, parameters.target_atr * atr
    wide = (atr > 0) & (top - bottom >= parameters.width * atr)
    return Signals(
        enter_long=indicators.crossed_above(candles.close, top) & wide & (stop < candles.close),
        exit_long=indicators.crossed_below(candles.close, floor),
        enter_short=indicators.crossed_below(candles.close, bottom)
        & wide
        & (target < candles.close)
        & parameters.shorts,
        exit_short=indicators.crossed_above(candles.close, ceiling),
        stop_long=candles.close - stop,
        target_long=candles.close + target,
        stop_short=candles.close + stop,
        target_short=candles.close - target,
    )
