"""The same strategy says the same whichever of the three ways it is written in, live and over all candles."""

from __future__ import annotations

import pytest

from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalRow, StrategyManifest
from signalist.sandbox import Failed, FailureKind, Ran, RanWhole
from tests.random_walks import cut, of_closes, random_walk
from tests.sandbox.conftest import Start

HEAD = """
import numpy as np
from signalist_strategy import Parameter, Signal, Signals, indicators
parameters = {"bars": Parameter(int, 4, min=2, max=50)}
def history(parameters):
    return parameters.bars + 1
"""
AT_ONCE = """
def signals(candles, parameters):
    top = indicators.previous(indicators.rolling_max(candles.high, parameters.bars))
    low = indicators.previous(indicators.rolling_min(candles.low, parameters.bars))
    return Signals(
        enter_long=candles.close > top, exit_long=candles.close < low, enter_short=candles.close < low,
        stop_long=candles.low, target_long=candles.close * 2, stop_short=candles.high, confidence=candles.close * 0 + 0.5,
    )
"""
BY_CANDLE = """
def on_candle(candles, parameters):
    assert len(candles) == parameters.bars + 1
    if candles.close[-1] > candles.high[:-1].max():
        return Signal("LONG", stop=candles.low[-1], target=candles.close[-1] * 2, confidence=0.5)
    if candles.close[-1] < candles.low[:-1].min():
        return [Signal("EXIT_LONG", confidence=0.5), Signal("SHORT", stop=candles.high[-1], confidence=0.5)]
"""
BY_MAIN = """
def main(data):
    close = data["close"][-1]
    assert type(close) is float and len(data["time"]) == data["parameters"]["bars"] + 1
    if close > max(data["high"][:-1]):
        return {"action": "BUY", "stop_loss": data["low"][-1], "take_profit": close * 2, "confidence": 0.5}
    if close < min(data["low"][:-1]):
        return [{"signal": "EXIT_LONG", "confidence": 0.5}, {"signal": "sell", "stop": data["high"][-1], "confidence": 0.5}]
    return "HOLD"
"""


def test_all_three_forms_say_the_same(start: Start) -> None:
    candles = random_walk(120, seed=3)
    processes = [start(HEAD + form) for form in (AT_ONCE, BY_CANDLE, BY_MAIN)]
    wholes = [process.all(candles) for process in processes]
    said: list[list[tuple[SignalRow, ...]]] = []
    for whole in wholes:
        assert isinstance(whole, RanWhole), whole
        said.append([whole.signals.at(bar).rows("") for bar in range(len(candles))])
    assert said[0] == said[1] == said[2]
    assert sum(map(len, said[0])) > 10
    for process in processes[1:]:
        for bar in (3, 4, 60, 61, 62, 119):
            ran = process.last(cut(candles, 0, bar + 1))
            assert isinstance(ran, Ran)
            assert ran.rows == said[0][bar]


def test_main_alone_is_a_strategy_that_is_shown_five_hundred_candles(start: Start) -> None:
    process = start("def main(data):\n    return 'BULLISH' if len(data['close']) == 500 else 'PUT'\n")
    assert process.manifest() == StrategyManifest((), {}, 500)
    ran = process.last(random_walk(600, seed=1))
    assert isinstance(ran, Ran)
    assert ran.rows == (SignalRow(SignalKind.LONG),)


@pytest.mark.parametrize(
    ("answer", "rows"),
    [("None", ()), ("'hold'", ()), ("[]", ()), ("{}", ()), ("{'signal': None}", ()),
     ("'CALL'", (SignalRow(SignalKind.LONG),)), ("'bearish'", (SignalRow(SignalKind.SHORT),)),
     ("'EXIT'", (SignalRow(SignalKind.EXIT_LONG), SignalRow(SignalKind.EXIT_SHORT))),
     ("('EXIT_SHORT', 'LONG')", (SignalRow(SignalKind.EXIT_SHORT), SignalRow(SignalKind.LONG))),
     ("{'signal': 'BUY', 'stop': 9, 'strength': 1}", (SignalRow(SignalKind.LONG, stop=9.0, strength=1.0),))],
)  # fmt: skip
def test_words_and_dicts_mean_one_thing(start: Start, answer: str, rows: tuple[SignalRow, ...]) -> None:
    ran = start(f"history = 1\ndef main(data):\n    return {answer}\n").last(of_closes([10]))
    assert isinstance(ran, Ran), ran
    assert ran.rows == rows


@pytest.mark.parametrize(
    ("answer", "said"),
    [("'UP'", "answered 'UP'; a signal is one of LONG, SHORT, EXIT_LONG"), ("7", "not int"), ("{'signal': 7}", "signal of type int"),
     ("{'signal': 'BUY', 'size': 2}", "answered with 'size'"), ("{'signal': 'BUY', 'stop': '9'}", "a stop of type str"),
     ("('BUY', 'SELL')", "both true"), ("{'signal': 'BUY', 'stop': -1}", "stop_long at bar 0")],
)  # fmt: skip
def test_what_means_nothing_is_refused(start: Start, answer: str, said: str) -> None:
    failed = start(f"history = 1\ndef main(data):\n    return {answer}\n").last(of_closes([10]))
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.BAD_OUTPUT
    assert said in failed.message


def test_a_file_has_one_form(start: Start) -> None:
    both = start("history = 1\ndef main(data):\n    pass\ndef on_candle(candles, parameters):\n    pass\n").manifest()
    assert both == Failed(FailureKind.DECLARATION, "The file has on_candle() and main(); it must have one of them.")
    none = start("history = 1\ndef on_candle(candles, parameters):\n    return 1 / 0\n").last(of_closes([1]))
    assert none == Failed(FailureKind.RAISED, "ZeroDivisionError: division by zero", 3)
