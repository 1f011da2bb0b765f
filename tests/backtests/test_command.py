"""`manage.py backtest`: what it prints, that it prints the same again, and how it says that it cannot."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from signalist.backtests.encoding import encoded
from signalist.domain.backtest.markets import finest_step, recorded_market
from signalist.domain.candles import CandleArrays
from tests.flows.recordings import swings, table
from tests.random_walks import of_closes

# Buys at the first bar of every five and leaves two bars later: every number can be reckoned by hand.
EVERY_FIFTH = """
import numpy as np
from signalist_strategy import Candles, Parameter, Parameters, Signals

parameters = {"wait": Parameter(int, 2, min=1, max=4), "side": Parameter(str, "long", choices=["long", "short"])}
history = 1

def signals(candles: Candles, parameters: Parameters) -> Signals:
    minute = candles.time // 60 % 5
    enter, leave = minute == 0, minute == parameters.wait
    if parameters.side == "short":
        return Signals(enter_short=enter, exit_short=leave, stop_short=candles.close + 50)
    return Signals(enter_long=enter, exit_long=leave, stop_long=candles.close - 50)
"""


def _printed(*arguments: str) -> str:
    out = StringIO()
    call_command("backtest", *arguments, stdout=out)
    return out.getvalue()


def _refused(*arguments: str) -> str:
    error = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("backtest", *arguments, stdout=StringIO(), stderr=error)
    assert ended.value.code == 2
    return error.getvalue()


@pytest.fixture
def strategy(tmp_path: Path) -> str:
    path = tmp_path / "every_fifth.py"
    path.write_text(EVERY_FIFTH)
    return str(path)


@pytest.fixture
def minutes(tmp_path: Path) -> str:
    """Ten minutes whose closes rise by one; each opens where the one before closed."""
    rows: list[tuple[object, ...]] = [("close_time", "open", "high", "low", "close", "volume")]
    rows += [(1_600_000_200 + 60 * n, 100 + n, 101.5 + n, 99.5 + n, 101 + n, 3) for n in range(10)]
    return str(table(tmp_path / "minutes.csv", rows))


def test_it_prints_metrics_trades_and_equity_that_can_be_reckoned_by_hand(strategy: str, minutes: str) -> None:
    arguments = (strategy, "--candles", minutes, "--timeframe", "1m", "--json", "--risk", "0.01", "--fee", "0.001")
    printed = _printed(*arguments)
    said = json.loads(printed)
    assert list(said) == ["metrics", "trades", "equity"]
    # The close at 12:30 is 101 with its stop at 51: 100 of 10,000 over 50 is a quantity of 2, bought at the next open.
    assert said["trades"][0] == {
        "entry_time": "2020-09-13T12:30:00Z",
        "exit_time": "2020-09-13T12:32:00Z",
        "side": "LONG",
        "quantity": 2,
        "entry_price": 101,
        "exit_price": 103,
        "fees": 0.408,
        "pnl": 3.592,
        "exit_reason": "signal",
    }
    assert [trade["pnl"] for trade in said["trades"]] == [3.592, 3.572]
    assert said["metrics"]["net_pnl"] == 7.164
    assert said["metrics"]["trades"] == 2
    assert said["metrics"]["profit_factor"] is None
    assert said["metrics"]["passed_over"] == {}
    assert len(said["equity"]) == 10
    assert said["equity"][0] == ["2020-09-13T12:30:00Z", 10_000.0]
    assert said["equity"][1] == ["2020-09-13T12:31:00Z", pytest.approx(10_000 + 2 * (102 - 101) - 0.202)]
    assert said["equity"][-1][1] == said["metrics"]["final_capital"]
    assert _printed(*arguments) == printed
    short = json.loads(_printed(*arguments, "--no-equity", "--timing", "--param", "wait=3", "--param", "side=short"))
    assert list(short) == ["metrics", "trades", "timing"]
    assert [trade["side"] for trade in short["trades"]] == ["SHORT", "SHORT"]
    assert short["trades"][0]["exit_price"] == 104
    assert {"read", "signals", "fills", "equity", "metrics"} <= set(short["timing"])


@pytest.mark.django_db
def test_a_slug_is_the_library_s_and_spot_is_not_sold_short(tmp_path: Path) -> None:
    recording = str(swings(tmp_path / "swings.csv", 400))
    options = ("--candles", recording, "--timeframe", "1m", "--json", "--no-equity", "--param", "fast=4")
    both = json.loads(_printed("moving-average-crossover", *options, "--param", "slow=9"))
    assert {trade["side"] for trade in both["trades"]} == {"LONG", "SHORT"}
    assert {"stop", "signal"} <= {trade["exit_reason"] for trade in both["trades"]}
    spot = json.loads(_printed("moving-average-crossover", *options, "--param", "slow=9", "--spot"))
    assert {trade["side"] for trade in spot["trades"]} == {"LONG"}
    assert spot["metrics"]["passed_over"]["short_unsupported"] > 5


@pytest.mark.django_db
def test_what_cannot_be_run_says_why_and_ends_with_two(strategy: str, minutes: str, tmp_path: Path) -> None:
    usual = ("--candles", minutes, "--timeframe", "1m")
    assert "There is no strategy 'nobody'" in _refused("nobody", *usual)
    assert "cannot be read" in _refused(str(tmp_path / "none.py"), *usual)
    assert "not on the 5m grid" in _refused(strategy, "--candles", minutes, "--timeframe", "5m")
    assert "is not a timeframe" in _refused(strategy, "--candles", minutes, "--timeframe", "7m")
    assert "at most 4" in _refused(strategy, *usual, "--param", "wait=9")
    assert "0.02 means 2 %" in _refused(strategy, *usual, "--risk", "2")
    broken = tmp_path / "broken.py"
    broken.write_text("history = 1\n\ndef signals(candles, parameters):\n    return candles.nothing\n")
    assert "(line 4)" in _refused(str(broken), *usual)
    with pytest.raises(CommandError, match="NAME=VALUE"):
        call_command("backtest", strategy, *usual, "--param", "wait")


@pytest.mark.parametrize(
    ("closes", "step"),
    [([46_319.0, 5.0], "1"), ([0.1, 0.3], "0.1"), ([46_377.857, 1.0], "0.001"), ([0.09946999, 0.0984], "1E-8")],
)
def test_the_step_of_prices_is_read_off_the_candles(closes: list[float], step: str) -> None:
    candles = of_closes(closes, reach=0.0)
    assert finest_step(candles) == Decimal(step)
    spec = recorded_market("X", candles)
    assert [spec.price(Decimal(repr(close))) for close in closes] == [Decimal(repr(close)) for close in closes]


def test_a_step_that_shows_late_in_a_recording_counts() -> None:
    assert finest_step(of_closes([1.0] * 500 + [1.25], reach=0.0)) == Decimal("0.01")


@pytest.mark.parametrize("value", [float("nan"), np.inf, Decimal("NaN")])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encoded({"a": [value]})
    assert encoded({"a": Decimal("1E+2"), "b": (1.5, None, "ü")}) == '{"a": 100, "b": [1.5, null, "\\u00fc"]}'


def test_arrays_without_candles_have_a_step(tmp_path: Path) -> None:
    assert finest_step(CandleArrays.of([])) == 1


def test_it_walks_forward_by_what_was_best_in_the_past(strategy: str, tmp_path: Path) -> None:
    closes = np.concatenate((np.arange(100.0, 142.0), np.arange(142.0, 106.0, -2.0)))
    rows: list[tuple[object, ...]] = [("close_time", "open", "high", "low", "close", "volume")]
    rows += [(1_600_000_200 + 60 * n, c, c + 1, c - 1, c, 3) for n, c in enumerate(closes.tolist())]
    file = str(table(tmp_path / "hill.csv", rows))
    arguments = [strategy, "--candles", file, "--timeframe", "1m", "--json", "--no-equity", "--fee", "0"]
    arguments += ["--walk-forward", "2", "--past", "1"]
    tried = json.loads(_printed(*arguments, "--try", "side=short", "--try", "side=long,wait=3"))["walk_forward"]
    # Up for two stretches, then down: what was best in the past is long, and loses at the end.
    assert [fold["chosen"] for fold in tried["folds"]] == ["side=long,wait=3"] * 2
    assert [fold["past"]["net_pnl"] > 0 for fold in tried["folds"]] == [True, True]
    assert tried["folds"][1]["after"]["net_pnl"] < 0
    assert tried["folds"][0]["begins"] == "2020-09-13T12:49:00Z"
    assert tried["folds"][0]["ends"] == tried["folds"][1]["begins"] == "2020-09-13T13:09:00Z"
    alone = json.loads(_printed(*arguments))
    assert [fold["chosen"] for fold in alone["walk_forward"]["folds"]] == ["", ""]
    assert alone["metrics"]["bars"] == 60
    assert "too few for 40 folds" in _refused(*arguments[:-4], "--walk-forward", "40")
