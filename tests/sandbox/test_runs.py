"""Candles in, signals out: what a well-behaved strategy gets and what becomes of its answer."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from signalist.domain.signals import SignalKind
from signalist.domain.strategies import ParameterSpec, SignalRow, StrategyManifest
from signalist.sandbox import Failed, FailureKind, Ran, RanWhole
from tests.random_walks import cut, of_closes, random_walk
from tests.sandbox.conftest import Start

BREAKOUT = '''
"""Buys above the mean of some bars."""
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators

parameters = {
    "bars": Parameter(int, 3, min=2, max=50, help="Bars of the mean."),
    "room": Parameter(float, 0.1, min=0, max=1),
    "shorts": Parameter(bool, False),
    "mode": Parameter(str, "calm", choices=("calm", "wild")),
}

def history(parameters: Parameters) -> int:
    return parameters.bars + 1

def signals(candles: Candles, parameters: Parameters) -> Signals:
    mean = indicators.sma(candles.close, parameters.bars)
    return Signals(
        enter_long=indicators.crossed_above(candles.close, mean),
        exit_long=indicators.crossed_below(candles.close, mean),
        stop_long=candles.close * (1 - parameters["room"]),
        confidence=candles.close * 0 + (0.5 if parameters.mode == "calm" else 1),
    )
'''


def strategy(body: str, history: str = "1") -> str:
    """A strategy whose function `signals` has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return (
        "import numpy as np\nfrom signalist_strategy import Signals, indicators\n"
        f"history = {history}\ndef signals(candles, parameters):\n{lines}\n"
    )


def test_the_manifest_tells_declarations_values_and_the_history_for_them(start: Start) -> None:
    manifest = start(BREAKOUT, {"bars": 5}).manifest()
    assert manifest == StrategyManifest(
        parameters=(
            ParameterSpec("bars", "int", 3, 2, 50, "Bars of the mean."),
            ParameterSpec("room", "float", 0.1, 0, 1),
            ParameterSpec("shorts", "bool", False),
            ParameterSpec("mode", "str", "calm", choices=("calm", "wild")),
        ),
        values={"bars": 5, "room": 0.1, "shorts": False, "mode": "calm"},
        history=6,
    )


def test_the_newest_bar_gives_the_rows(start: Start) -> None:
    process = start(BREAKOUT, {"mode": "wild"})
    ran = process.last(of_closes([10, 9, 8, 20]))
    assert isinstance(ran, Ran)
    assert ran.rows == (SignalRow(SignalKind.LONG, stop=18.0, confidence=1.0),)
    assert 0 < ran.duration_ms < 5000
    quiet = process.last(of_closes([10, 9, 8, 7]))
    assert isinstance(quiet, Ran)
    assert quiet.rows == ()


def test_live_and_the_whole_run_say_the_same_at_every_bar(start: Start) -> None:
    process, candles = start(BREAKOUT, {"bars": 7}), random_walk(150, seed=1)
    whole = process.all(candles)
    assert isinstance(whole, RanWhole)
    said = 0
    for bar in range(len(candles)):
        ran = process.last(cut(candles, 0, bar + 1))
        assert isinstance(ran, Ran)
        assert ran.rows == whole.signals.at(bar).rows("")
        said += len(ran.rows)
    assert said > 20


def test_a_strategy_sees_exactly_its_history_as_read_only_numbers(start: Start) -> None:
    process = start(
        strategy(
            "raise ValueError(f'{len(candles)} {candles.time[0]} {candles.close.tolist()} {candles.volume.dtype}')", "2"
        )
    )
    told = process.last(of_closes([1, 2, 3.5]))
    assert isinstance(told, Failed)
    assert told.message == "ValueError: 2 1700000100 [2.0, 3.5] float64"
    changing = start(strategy("candles.close[-1] = 0\nreturn Signals()"))
    assert "read-only" in str(changing.last(of_closes([1])))


def test_before_a_whole_history_nothing_is_said(start: Start) -> None:
    process = start(strategy("return Signals(exit_long=candles.close > 0)", "3"))
    assert process.last(of_closes([1, 2])) == Ran((), 0.0)
    whole = process.all(of_closes([1, 2, 3, 4]))
    assert isinstance(whole, RanWhole)
    assert whole.signals.exit_long.tolist() == [False, False, True, True]
    short = process.all(of_closes([1]))
    assert isinstance(short, RanWhole)
    assert len(short.signals) == 1
    empty = process.all(of_closes([]))
    assert isinstance(empty, RanWhole)
    assert len(empty.signals) == 0


def test_nan_is_none(start: Start) -> None:
    process = start(
        strategy(
            "nothing = candles.close * np.nan\nreturn Signals(enter_short=candles.close > 0, stop_short=nothing, strength=nothing)"
        )
    )
    ran = process.last(of_closes([1]))
    assert isinstance(ran, Ran)
    assert ran.rows == (SignalRow(SignalKind.SHORT),)


def test_lists_and_whole_numbers_are_taken_as_arrays(start: Start) -> None:
    process = start(
        strategy("return Signals(enter_long=[True] * len(candles), stop_long=np.ones(len(candles), dtype=int))")
    )
    ran = process.last(of_closes([5, 6]))
    assert isinstance(ran, Ran)
    assert ran.rows == (SignalRow(SignalKind.LONG, stop=1.0),)


def test_every_field_of_a_whole_run_arrives_in_its_place(start: Start) -> None:
    process = start(
        strategy(
            "flags = {f: candles.time % p == 0 for f, p in (('exit_long', 2), ('exit_short', 3), ('enter_long', 7))}\n"
            "flags['enter_long'] &= ~flags['exit_long']\n"
            "numbers = {f: candles.close + k for k, f in enumerate(('stop_long', 'target_long', 'stop_short', 'target_short'))}\n"
            "return Signals(**flags, **numbers, strength=candles.close / 1000, confidence=candles.close / 500)"
        )
    )
    candles = random_walk(50, seed=4)
    candles.time[:] = np.arange(50)
    whole = process.all(candles)
    assert isinstance(whole, RanWhole)
    signals, close = whole.signals, candles.close
    assert signals.exit_long.tolist() == (candles.time % 2 == 0).tolist()
    assert signals.exit_short.tolist() == (candles.time % 3 == 0).tolist()
    assert signals.enter_long.tolist() == ((candles.time % 7 == 0) & (candles.time % 2 == 1)).tolist()
    assert not signals.enter_short.any()
    for offset, name in enumerate(("stop_long", "target_long", "stop_short", "target_short")):
        assert getattr(signals, name).tolist() == (close + offset).tolist()
    assert signals.strength.tolist() == (close / 1000).tolist()
    assert signals.confidence.tolist() == (close / 500).tolist()


def test_a_run_starts_from_a_fresh_file(start: Start) -> None:
    source = "seen = []\n" + strategy(
        "seen.append(1)\nreturn Signals(strength=candles.close * 0 + len(seen) / 10, exit_long=candles.close > 0)"
    )
    process = start(source)
    strengths = [ran.rows[0].strength for _ in range(3) if isinstance(ran := process.last(of_closes([1])), Ran)]
    assert strengths == [0.1, 0.1, 0.1]


def test_the_house_s_own_process_stays_warm_between_runs(start: Start) -> None:
    process = start(BREAKOUT, house=True)
    process.last(of_closes([1, 2, 3, 4]))
    pid = process.pid
    for _ in range(20):
        process.last(of_closes([1, 2, 3, 4]))
    assert pid is not None
    assert process.pid == pid


def test_what_a_strategy_prints_is_kept_for_its_author(start: Start) -> None:
    process = start(strategy("print('close', candles.close[-1])\nreturn Signals()"))
    assert isinstance(process.last(of_closes([7])), Ran)
    assert process.printed == "close 7.0\n"
    assert isinstance(process.last(of_closes([8])), Ran)
    assert process.printed == "close 8.0\n"


def test_many_candles_and_much_print_do_not_block_each_other(start: Start) -> None:
    process = start(strategy("print('x' * 900_000)\nreturn Signals(exit_long=candles.close > 0)"))
    whole = process.all(random_walk(200_000, seed=2))
    assert isinstance(whole, RanWhole)
    assert whole.signals.exit_long.all()
    assert len(process.printed) == 900_001


def test_threads_wait_for_each_other(start: Start) -> None:
    process, answers = start(BREAKOUT), []

    def ask(close: float) -> None:
        for _ in range(20):
            ran = process.last(of_closes([10, 9, 8, close]))
            answers.append(isinstance(ran, Ran) and math.isclose(ran.rows[0].stop or 0, close * 0.9))

    threads = [threading.Thread(target=ask, args=(20.0 + number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 120


def test_a_refused_bar_is_named_by_its_close(start: Start) -> None:
    process = start(strategy("return Signals(enter_long=candles.close > 2, enter_short=candles.close > 2)"))
    refused = process.all(of_closes([1, 2, 3, 4]))
    assert refused == Failed(
        FailureKind.BAD_OUTPUT,
        "enter_long and enter_short are both true at bar 2 (2023-11-14T22:16:00Z); a bar says one or the other.",
    )
    live = process.last(of_closes([1, 2, 3]))
    assert isinstance(live, Failed)
    assert "both true at bar 0 (2023-11-14T22:16:00Z)" in live.message


def test_what_is_allowed_may_load_what_it_needs(start: Start) -> None:
    imports = "import datetime, zoneinfo, statistics, decimal\n"
    body = (
        "day = datetime.datetime.strptime('2026-01-02', '%Y-%m-%d').replace(tzinfo=zoneinfo.ZoneInfo('Asia/Kolkata'))\n"
        "raise ValueError(f'{day.utcoffset()} {statistics.median([1, 2, 9])} {decimal.Decimal(1) / 4}')"
    )
    told = start(imports + strategy(body)).last(of_closes([1]))
    assert isinstance(told, Failed)
    assert told.message == "ValueError: 5:30:00 2 0.25"


def test_pandas_is_there(start: Start) -> None:
    pytest.importorskip("pandas")
    body = "mean = pd.Series(candles.close).rolling(2).mean()\nreturn Signals(enter_long=(candles.close > mean).to_numpy())"
    ran = start("import pandas as pd\n" + strategy(body, "3")).last(of_closes([1, 2, 3]))
    assert isinstance(ran, Ran), ran
    assert ran.rows == (SignalRow(SignalKind.LONG),)
