"""The three ways to write a strategy: over all candles at once, candle by candle, and as `main(data)`; all become the same columns.

Loaded by path in the sandbox, so it imports only the standard library. The last two are shown the newest `history` candles at every bar,
live and in a backtest alike, so they cannot look ahead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

FORMS = ("signals", "on_candle", "main")
MAIN_HISTORY = 500
"""Candles that a file with `main` is shown where it does not declare `history`."""

LEVELS = ("stop", "target")
SCORES = ("strength", "confidence")
_FLAGS = {
    "LONG": ("enter_long",),
    "SHORT": ("enter_short",),
    "EXIT_LONG": ("exit_long",),
    "EXIT_SHORT": ("exit_short",),
}
# What main(data) may say besides, as such files do elsewhere.
_WORDS = {
    "BUY": "LONG", "CALL": "LONG", "BULLISH": "LONG", "SELL": "SHORT", "PUT": "SHORT", "BEARISH": "SHORT", "HOLD": "", "NONE": "",
}  # fmt: skip
_OTHER_NAMES = {"action": "signal", "stop_loss": "stop", "take_profit": "target"}
_COLUMNS = ("time", "open", "high", "low", "close", "volume")


class FormError(Exception):
    """The file's form, or what it answered, is not what was asked for."""


def form_of(module: ModuleType) -> str:
    """Which of the three functions the file has. Raises FormError unless it is one."""
    found = [name for name in FORMS if callable(getattr(module, name, None))]
    if len(found) == 1:
        return found[0]
    if found:
        raise FormError(f"The file has {' and '.join(f'{name}()' for name in found)}; it must have one of them.")
    raise FormError(
        "The file has no function signals(candles, parameters), on_candle(candles, parameters) or main(data)."
    )


def candle_by_candle(
    function: Callable[..., Any], author: ModuleType, columns: list[Any], parameters: Any, bars: int
) -> dict[str, Any]:
    """The columns of a file with on_candle, asked at every bar that has `bars` candles."""
    return _collected(
        "on_candle", lambda first, last: function(_window(author, columns, first, last), parameters), columns, bars
    )


def by_main(function: Callable[..., Any], columns: list[Any], parameters: Any, bars: int) -> dict[str, Any]:
    """The columns of a file with main: it gets a dict of lists (time, open, high, low, close, volume) and of its parameters."""
    lists = {name: column.tolist() for name, column in zip(_COLUMNS, columns, strict=True)}

    def ask(first: int, last: int) -> Any:
        return function(
            {**{name: values[first:last] for name, values in lists.items()}, "parameters": dict(parameters)}
        )

    return _collected("main", ask, columns, bars)


def _window(author: ModuleType, columns: list[Any], first: int, last: int) -> Any:
    return author.Candles(*(column[first:last] for column in columns))


def _collected(name: str, ask: Callable[[int, int], Any], columns: list[Any], bars: int) -> dict[str, Any]:
    numpy, n = sys.modules["numpy"], len(columns[0])
    flags = {flag: numpy.zeros(n, dtype=bool) for one in _FLAGS.values() for flag in one}
    numbers = {f"{level}_{side}": numpy.full(n, numpy.nan) for level in LEVELS for side in ("long", "short")}
    numbers |= {score: numpy.full(n, numpy.nan) for score in SCORES}
    for bar in range(bars - 1, n):
        for said in _said(name, ask(bar - bars + 1, bar + 1)):
            for flag in _FLAGS[said["signal"]]:
                flags[flag][bar] = True
            side = "long" if said["signal"] == "LONG" else "short"
            for field in (*LEVELS, *SCORES):
                if said.get(field) is not None:
                    numbers[field if field in SCORES else f"{field}_{side}"][bar] = said[field]
    return {**flags, **numbers}


def _said(name: str, answer: Any) -> Iterator[dict[str, Any]]:
    """What an answer says, as dicts with a signal of the four and checked numbers. Raises FormError."""
    for one in answer if isinstance(answer, (list, tuple)) else [answer]:
        given = _as_dict(name, one)
        word = given.pop("signal", None)
        if word is not None and not isinstance(word, str):
            raise FormError(
                f"{name}() answered with a signal of type {type(word).__name__}; it must be text such as LONG."
            )
        word = (word or "HOLD").upper()
        if word in ("EXIT", "CLOSE"):
            yield {"signal": "EXIT_LONG", **given}
            yield {"signal": "EXIT_SHORT", **given}
            continue
        word = _WORDS.get(word, word)
        if not word:
            continue
        if word not in _FLAGS:
            raise FormError(
                f"{name}() answered {word[:40]!r}; a signal is one of {', '.join([*_FLAGS, 'EXIT', *_WORDS])}, or None."
            )
        yield {"signal": word, **given}


def _as_dict(name: str, answer: Any) -> dict[str, Any]:
    if answer is None or isinstance(answer, str):
        return {"signal": answer}
    if type(answer).__name__ == "Signal":
        given: dict[str, Any] = {field: getattr(answer, field) for field in ("signal", *LEVELS, *SCORES)}
    elif isinstance(answer, dict):
        given = {str(_OTHER_NAMES.get(key, key)): value for key, value in answer.items()}
    else:
        raise FormError(f"{name}() must return None, text, a dict or Signal(...), not {type(answer).__name__}.")
    unknown = [key for key in given if key not in ("signal", *LEVELS, *SCORES)]
    if unknown:
        raise FormError(
            f"{name}() answered with {str(unknown[0])[:40]!r}; it may hold signal, stop, target, strength and confidence."
        )
    for field in (*LEVELS, *SCORES):
        value = given.get(field)
        if value is not None and (isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str)):
            raise FormError(
                f"{name}() answered with a {field} of type {type(value).__name__}; it must be a number or None."
            )
    return given
