"""Indicators for readers: chosen by name with a period, worked out by the domain's library, each value beside its candle.

`sma`, `ema`, `bollinger` lie over the prices; `rsi`, `atr`, `volatility` and the bands' `width` have a scale of their own. A period follows
a colon (`sma:50`); without one it is the usual. Nothing is stored: what is shown is worked out from the candles, so that a corrected candle
corrects it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from signalist.domain.candles import Candle, CandleArrays
from signalist.domain.channels import bollinger
from signalist.domain.conditions import Condition, condition, volatility
from signalist.domain.indicators import Floats, atr, ema, ema_bars, rsi, sma
from signalist.markets.adjusting import adjusted

SHORTEST, LONGEST = 2, 200
MOST = 8
"""Indicators that are worked out at once."""
OVER_PRICES = ("sma", "ema", "bollinger")
USUAL: Mapping[str, int] = {
    "sma": 20, "ema": 20, "bollinger": 20, "rsi": 14, "atr": 14, "volatility": 20, "width": 20,
}  # fmt: skip
WORDS: Mapping[str, str] = {
    "sma": "SMA", "ema": "EMA", "bollinger": "Bollinger", "rsi": "RSI", "atr": "ATR", "volatility": "Volatility, %",
    "width": "Band width, %",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator that was asked for."""

    kind: str
    period: int

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.period}"

    @property
    def word(self) -> str:
        return f"{WORDS[self.kind]} {self.period}" if "%" not in WORDS[self.kind] else WORDS[self.kind]

    @property
    def is_over_prices(self) -> bool:
        return self.kind in OVER_PRICES

    @property
    def bars(self) -> int:
        """How many bars before the first that is shown it needs."""
        return _ema_window(self.period) if self.kind == "ema" else self.period + 1


@dataclass(frozen=True, slots=True)
class Worked:
    """An indicator's lines by their words, each with a value for every candle: nan while there are too few."""

    indicator: Indicator
    lines: Mapping[str, Floats]


def chosen(asked: Sequence[str], usual: Mapping[str, int] = USUAL) -> list[Indicator]:
    """The indicators that are asked for, each once and `MOST` at most; what is none, or has a period out of bounds, is left out. `usual`
    are the periods of those that name none."""
    found: dict[str, Indicator] = {}
    for one in asked:
        kind, _, period = one.strip().lower().partition(":")
        if kind not in usual or (period and not period.isdecimal()):
            continue
        indicator = Indicator(kind, int(period[:4]) if period else usual[kind])
        if SHORTEST <= indicator.period <= LONGEST:
            found.setdefault(indicator.key, indicator)
    return list(found.values())[:MOST]


def chosen_now(asked: Sequence[str]) -> list[Indicator]:
    """`chosen`, where those that name no period have the one that staff has set (`adjusting`). One query at most, and none where all do."""
    if all(":" in one for one in asked):
        return chosen(asked)
    return chosen(asked, {kind: adjusted(f"period.{'ema_long' if kind == 'ema' else kind}") for kind in USUAL})


def offered() -> list[str]:
    """The usual ones, each with its period."""
    kinds = ("sma", "ema_short", "ema_long", "bollinger", "rsi", "atr", "volatility", "width")
    return [f"{kind.partition('_')[0]}:{adjusted(f'period.{kind}')}" for kind in kinds]


def needed(indicators: Sequence[Indicator]) -> int:
    """How many candles before the first that is shown are needed."""
    return max((indicator.bars for indicator in indicators), default=0)


def worked(indicators: Sequence[Indicator], candles: Sequence[Candle], shown: int) -> list[Worked]:
    """The values at the newest `shown` of `candles`, which are oldest first. No RSI is outside of 0 to 100."""
    arrays = CandleArrays.of(candles)
    return [
        Worked(each, {word: values[-shown:] for word, values in _LINES[each.kind](arrays, each).items()})
        for each in indicators
    ]


def how_it_goes(candles: Sequence[Candle]) -> Condition:
    """Whether the market rises, falls or goes sideways at the newest candle."""
    arrays = CandleArrays.of(candles)
    return condition(arrays.high, arrays.low, arrays.close)


def _ema_window(n: int) -> int:
    """Bars that an exponential mean looks at on a page: older ones would weigh less than half a thousandth together."""
    return min(ema_bars(n), 4 * n)


def _bands(arrays: CandleArrays, each: Indicator) -> dict[str, Floats]:
    found = bollinger(arrays.close, each.period)
    return {f"{each.word} upper": found.upper, f"{each.word} middle": found.middle, f"{each.word} lower": found.lower}


def _width(arrays: CandleArrays, each: Indicator) -> dict[str, Floats]:
    found = bollinger(arrays.close, each.period)
    return {each.word: (found.upper - found.lower) / found.middle * 100.0}


_LINES: Mapping[str, Callable[[CandleArrays, Indicator], dict[str, Floats]]] = {
    "sma": lambda arrays, each: {each.word: sma(arrays.close, each.period)},
    "ema": lambda arrays, each: {each.word: ema(arrays.close, each.period, _ema_window(each.period))},
    "bollinger": _bands,
    "rsi": lambda arrays, each: {each.word: np.clip(rsi(arrays.close, each.period), 0.0, 100.0)},
    "atr": lambda arrays, each: {each.word: atr(arrays.high, arrays.low, arrays.close, each.period)},
    "volatility": lambda arrays, each: {each.word: volatility(arrays.close, each.period)},
    "width": _width,
}
