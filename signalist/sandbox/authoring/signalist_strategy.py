"""What a strategy file imports.

A strategy is one Python file that declares three things:

    from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators

    parameters = {"period": Parameter(int, 20, min=2, max=200, help="Bars of the average.")}

    def history(parameters: Parameters) -> int:      # or a plain number: how many closed candles it needs
        return parameters.period + 1

    def signals(candles: Candles, parameters: Parameters) -> Signals:
        average = indicators.sma(candles.close, parameters.period)
        return Signals(
            enter_long=indicators.crossed_above(candles.close, average),
            exit_long=indicators.crossed_below(candles.close, average),
        )

Instead of `signals` it may have `on_candle`, which is asked candle by candle and cannot look ahead:

    def on_candle(candles: Candles, parameters: Parameters) -> Signal | None:
        if candles.close[-1] > candles.high[:-1].max():
            return Signal("LONG", stop=candles.low[-1])

or `main(data)`, which gets a dict of lists and answers a word or a dict. docs/strategies.md is the tutorial.

Live, `signals` is called with the newest `history` candles and its last bar counts. In a backtest it is called once with all candles.
Both must say the same at every bar: a value at a bar may depend on the `history` candles up to it and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signalist.domain import indicator_library as indicators

__all__ = ["Candles", "Parameter", "Parameters", "Signal", "Signals", "indicators", "protected", "protection"]


@dataclass(frozen=True)
class Parameter:
    """A parameter: its type (int, float, bool or str), default, inclusive bounds for numbers, choices for text, and a sentence of help."""

    type: type
    default: int | float | bool | str
    min: float | None = None
    max: float | None = None
    help: str = ""
    choices: tuple[str, ...] = ()


class Parameters(Mapping[str, Any]):
    """The values of the declared parameters, as `parameters.fast` or `parameters["fast"]`. They cannot be changed."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_values", dict(values))

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = object.__getattribute__(self, "_values")
        if name not in values:
            raise AttributeError(
                f"The strategy declares no parameter {name!r}; it declares {', '.join(values) or 'none'}."
            )
        return values[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("A strategy cannot change its parameters.")

    def __getitem__(self, name: str) -> Any:
        return object.__getattribute__(self, "_values")[name]

    def __iter__(self) -> Iterator[str]:
        return iter(object.__getattribute__(self, "_values"))

    def __len__(self) -> int:
        return len(object.__getattribute__(self, "_values"))


@dataclass(frozen=True)
class Candles:
    """Closed candles, oldest first, as read-only arrays of one length. `time` is the close in epoch seconds, UTC."""

    time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Signals:
    """The answer: arrays with one value per candle; what is left out is never true, or none.

    enter_* and exit_*  booleans. At one bar a strategy enters one side only, and does not leave the side that it enters.
    stop_*, target_*    prices for the entry of the same bar, in the candles' quote currency; nan is none.
    strength, confidence  0 to 1; nan is none.
    """

    enter_long: ArrayLike | None = None
    exit_long: ArrayLike | None = None
    enter_short: ArrayLike | None = None
    exit_short: ArrayLike | None = None
    stop_long: ArrayLike | None = None
    target_long: ArrayLike | None = None
    stop_short: ArrayLike | None = None
    target_short: ArrayLike | None = None
    strength: ArrayLike | None = None
    confidence: ArrayLike | None = None


@dataclass(frozen=True)
class Signal:
    """One answer of `on_candle`: LONG, SHORT, EXIT_LONG or EXIT_SHORT, with the prices and scores of an entry where there are any.

    Several at one bar (an exit and the opposite entry) are a list.
    """

    signal: str
    stop: float | None = None
    target: float | None = None
    strength: float | None = None
    confidence: float | None = None


def protection(atr: int = 14, stop: float = 2.0, target: float = 4.0) -> dict[str, Parameter]:
    """The parameters that `protected` reads, with these defaults: `parameters = {"period": ..., **protection()}`."""
    away = "from the close, in average true ranges."
    return {
        "atr": Parameter(int, atr, min=1, max=500, help="Bars of the average true range."),
        "stop_atr": Parameter(float, stop, min=0.1, max=20, help=f"Distance of the stop {away}"),
        "target_atr": Parameter(float, target, min=0.1, max=40, help=f"Distance of the target {away}"),
        "shorts": Parameter(bool, True, help="Whether to sell short as well."),
    }


def protected(
    candles: Candles,
    parameters: Parameters,
    *,
    enter_long: NDArray[np.bool_],
    exit_long: NDArray[np.bool_],
    enter_short: NDArray[np.bool_],
    exit_short: NDArray[np.bool_],
    strength: NDArray[np.float64] | None = None,
    confidence: NDArray[np.float64] | None = None,
) -> Signals:
    """Signals whose entries have a stop and a target, a multiple of the average true range from the close: by the parameters of
    `protection()`, which need `parameters.atr + 1` candles.

    Where nothing has moved yet, or a level would lie below zero, there is no entry; shorts are entered where `shorts` says so.
    """
    atr = indicators.atr(candles.high, candles.low, candles.close, parameters.atr)
    stop, target, moves = parameters.stop_atr * atr, parameters.target_atr * atr, atr > 0
    return Signals(
        enter_long=enter_long & moves & (stop < candles.close),
        exit_long=exit_long,
        enter_short=enter_short & moves & (target < candles.close) & parameters.shorts,
        exit_short=exit_short,
        stop_long=candles.close - stop,
        target_long=candles.close + target,
        stop_short=candles.close + stop,
        target_short=candles.close - target,
        strength=strength,
        confidence=confidence,
    )
