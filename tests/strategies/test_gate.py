"""The publish gate: what it finds, which check says so, and what it lets through."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import call_command

from signalist.domain.candles import CandleArrays
from signalist.domain.timeframes import timeframe
from signalist.markets.recordings import read_recording
from signalist.strategies.actions import GATE_SECONDS
from signalist.strategies.gate.checking import examine
from signalist.strategies.gate.honesty import lookahead, warmup
from signalist.strategies.gate.made_up import made_up_candles
from signalist.strategies.gate.source_checks import imports
from signalist.strategies.gate.subject import BUDGET, Budget, Subject, manifest, run_all
from signalist.strategies.gate.trading_checks import stops, walkforward
from signalist.strategies.gate.values import NAMES, CannotJudge, Refused
from signalist.strategies.sources import LIBRARY, library_slugs
from tests.flows.recordings import swings

MARKET = Path(__file__).parents[3] / "shared" / "market"

HEAD = """import numpy as np
from signalist_strategy import Candles, Parameter, Parameters, Signals, indicators

history = {history}


def signals(candles, parameters):
    close = candles.close
    average = indicators.sma(close, 20)
"""
CROSS = """    above, below = indicators.crossed_above(close, average), indicators.crossed_below(close, average)
    return Signals(enter_long=above, exit_long=below, stop_long=close * 0.99)
"""
HONEST = HEAD.format(history=21) + CROSS


def _planted(line: str, history: int = 21) -> str:
    """A strategy whose one dishonest line stands before the cross."""
    return HEAD.format(history=history) + f"    {line}\n" + CROSS


PLANTED = {
    "centred window": 'average = np.convolve(close, np.ones(21) / 21, mode="same")',
    "shift(-1)": "close = np.append(close[1:], close[-1])",
    "future maximum": "average = np.minimum(average, np.maximum.accumulate(candles.high[::-1])[::-1] * 0.98)",
    "whole-series normalisation": "average = close.mean() + 0 * average",
    "resample leak": (
        "first = np.searchsorted(-(-candles.time // 900), np.unique(-(-candles.time // 900)), side='right') - 1\n"
        "    average = close[first][np.searchsorted(-(-candles.time // 900)[first], -(-candles.time // 900))]"
    ),
}


def _subject(source: str, candles: CandleArrays | None = None) -> Subject:
    """With its declarations and its signals, as the checks before have left it."""
    subject = Subject(source, {}, made_up_candles(1_500, 60) if candles is None else candles, 60)
    with subject.started() as process:
        subject.history = manifest(process).history
        subject.whole = run_all(process, subject.candles)
    return subject


def _report(source: str, **options: Any) -> dict[str, Any]:
    checks = examine(source, {}, **options).checks
    assert [check.name for check in checks] == list(NAMES)
    return {check.name: check for check in checks}


@pytest.mark.parametrize("way", PLANTED)
def test_looking_ahead_is_found_with_the_first_bar_that_it_changes(way: str) -> None:
    subject = _subject(_planted(PLANTED[way]))
    with pytest.raises(
        Refused, match=r"It looks ahead: at bar \d+ \(2024-\d\d-\d\dT\d\d:\d\d:00Z\) (enter|exit|stop)_\w+ is "
    ):
        lookahead(subject)


def test_what_looks_ahead_only_around_its_entries_is_found_there() -> None:
    """One entry in thousands of candles, and it knows the next close: no stretch of bars in a row need meet it."""
    line = "close = np.where(candles.time % 86_400 == 43_200, np.append(close[1:], close[-1]), average - 1)"
    subject = _subject(_planted(line), made_up_candles(6_000, 60))
    assert 0 < subject.whole.enter_long.sum() < 5
    with pytest.raises(Refused, match="It looks ahead"):
        lookahead(subject)


def test_a_declared_history_that_is_too_short_is_named_with_its_bar() -> None:
    endless = "for bar in range(1, len(average)): average[bar] = close[bar] if np.isnan(average[bar - 1]) else "
    subject = _subject(_planted(endless + "average[bar - 1] + (close[bar] - average[bar - 1]) / 20"))
    assert lookahead(subject)
    with pytest.raises(
        Refused, match=r"At bar \d+ .* the declared 21 candles and all candles say .*history is too short"
    ):
        warmup(subject)


def test_an_honest_strategy_passes_and_the_command_says_so(tmp_path: Path) -> None:
    file, out = tmp_path / "honest.py", StringIO()
    file.write_text(HONEST)
    recording = swings(tmp_path / "swings.csv", 400)
    call_command("check_strategy", str(file), "--candles", str(recording), "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert list(said) == ["passed", "checks"]
    assert said["passed"] is True
    assert [check["name"] for check in said["checks"]] == list(NAMES)
    assert {frozenset(check) for check in said["checks"]} == {frozenset({"name", "passed", "detail", "line"})}
    assert "looks at 21 candles" in said["checks"][0]["detail"]


@pytest.mark.parametrize(
    ("source", "refused", "line", "words"),
    [
        ("history = 1\n\ndef signals(candles, parameters:\n", "parse", 3, "SyntaxError"),
        ("history = 1\n", "parse", None, "no function signals"),
        ("import socket\n" + HONEST, "imports", 1, "may not import socket"),
        ("import no_such_module\n" + HONEST, "imports", 1, "no_such_module"),
        ("from pandas.io import sql\n" + HONEST, "imports", 1, "pandas.io"),
        (HONEST.replace("close = candles.close", 'close = eval("candles").close'), "imports", 8, "may not call eval"),
    ],
    ids=["syntax", "declaration", "a module that is not allowed", "one that is not there", "a part", "a builtin"],
)
def test_what_cannot_be_loaded_is_refused_with_its_line(
    source: str, refused: str, line: int | None, words: str
) -> None:
    checks = _report(source)
    assert checks[refused].passed is False
    assert (checks[refused].line, words in checks[refused].detail) == (line, True), checks[refused]
    after = [check for check in checks.values() if check.detail.startswith("Not tried")]
    assert {check.name for check in after} >= set(NAMES[2:])
    assert not any(check.passed for check in after)


def test_what_differs_from_run_to_run_is_refused() -> None:
    checks = _report(_planted("average = average + np.random.default_rng().normal(0, 50, len(close))"))
    assert "Two runs over the same candles differ at bar" in checks["determinism"].detail
    assert [name for name in NAMES if checks[name].passed] == ["parse", "imports"]


def test_what_uses_too_much_is_told_by_resources_and_what_raises_where_it_does() -> None:
    checks = _report(_planted("print('x' * 2_000_000)"))
    assert "printed more than" in checks["resources"].detail
    assert checks["determinism"].detail.startswith("Not finished")
    raising = _report(_planted("close[10_000]"))["determinism"]
    assert (raising.passed, raising.line) == (False, 10)
    assert "IndexError" in raising.detail


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ("close * 1.01", "it must lie below the close"),
        ("close * 0.3", "more than half"),
        ("close * 0.99, target_long=close * 11", "more than nine times"),
        ("np.where(candles.time % 7 < 3, close * 0.99, np.nan)", "and others do"),
    ],
)
def test_a_stop_that_makes_no_sense_is_refused_with_its_bar(stop: str, words: str) -> None:
    subject = _subject(HONEST.replace("close * 0.99", stop))
    with pytest.raises(Refused, match=r"bar \d+ \(2024") as refused:
        stops(subject)
    assert words in refused.value.detail


def test_no_stop_at_all_is_said_and_no_trade_is_refused() -> None:
    assert "share of the money only" in stops(_subject(HONEST.replace(", stop_long=close * 0.99", "")))
    silent = _subject(HONEST.replace("enter_long=above", "enter_long=above & (close < 0)"))
    with pytest.raises(Refused, match="traded nothing"):
        walkforward(silent)


def test_too_few_candles_are_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match="looks at 21"):
        examine(HONEST, {}, made_up_candles(100, 60))
    error = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_strategy", str(tmp_path / "none.py"), stderr=error)
    assert ended.value.code == 2
    assert "cannot be read" in error.getvalue()
    broken = tmp_path / "broken.py"
    broken.write_text("history = ")
    with pytest.raises(SystemExit) as ended:
        call_command("check_strategy", str(broken), "--json", stdout=StringIO())
    assert ended.value.code == 1


def test_made_up_candles_are_candles_and_always_the_same() -> None:
    candles = made_up_candles(2_000, 60)
    assert candles.close.tobytes() == made_up_candles(2_000, 60).close.tobytes()
    assert (candles.low > 0).all()
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert (candles.time % 60 == 0).all()


@pytest.mark.soak
@pytest.mark.parametrize("slug", library_slugs())
@pytest.mark.parametrize("recording", [None, "BTC-PERP-1m-2022-01.csv.gz", "ETH-BTC-5m-2018-01.csv.gz"])
def test_every_strategy_of_the_library_passes(slug: str, recording: str | None) -> None:
    candles, frame, parameters = None, timeframe("1m"), {}
    if recording is not None:
        if not (MARKET / recording).is_file():
            pytest.skip("no recorded candles lie beside the project")
        frame = timeframe("1m" if "1m" in recording else "5m")
        candles = CandleArrays.of(read_recording(MARKET / recording, frame))
    if slug == "multi-timeframe":
        parameters = {"minutes": frame.seconds // 60}
    report = examine(
        (LIBRARY / f"{slug.replace('-', '_')}.py").read_text(), parameters, candles, frame.seconds, house=True
    )
    assert report.passed, report


def test_all_runs_together_have_a_budget_and_the_refusal_says_so() -> None:
    moments = iter(range(1_000))
    checks = {
        check.name: check for check in examine(HONEST, {}, budget=Budget(3.0, lambda: float(next(moments)))).checks
    }
    assert checks["parse"].passed
    assert not checks["resources"].passed
    assert "together took more than 3 s" in checks["resources"].detail
    assert not checks["lookahead"].passed
    # A job that is given out again while it runs would be done twice.
    assert BUDGET < GATE_SECONDS < settings.Q_CLUSTER["retry"]


def test_the_word_that_numpy_reads_as_the_true_time_is_refused_with_its_line() -> None:
    for way in ("np.datetime64('now')", "np.array(['Today '], dtype='M8[D]')"):
        with pytest.raises(Refused, match="true time") as refused:
            imports(Subject(f"import numpy as np\nx = {way}\n", {}, made_up_candles(10, 60), 60))
        assert refused.value.line == 2


def test_a_module_s_inside_is_refused_with_its_line() -> None:
    for way, said in (("random._os.getpid()", "random._os"), ("statistics.sys.modules", "statistics.sys")):
        subject = Subject(f"import random, statistics\nx = {way}\n", {}, made_up_candles(10, 60), 60)
        with pytest.raises(Refused, match=said) as refused:
            imports(subject)
        assert refused.value.line == 2


def test_the_clock_stands_at_the_newest_candle() -> None:
    body = """import datetime, time
import pandas as pd
history = 1 if time.time() == 946684800 else 5000
def signals(candles, parameters):
    here = time.time() == time.monotonic() == candles.time[-1] == time.time_ns() // 10**9
    same = datetime.datetime.now(datetime.UTC).timestamp() == datetime.datetime.utcnow().replace(tzinfo=datetime.UTC).timestamp()
    assert here and same and isinstance(datetime.datetime.now(), datetime.datetime) and datetime.date.today().year == time.gmtime().tm_year
    datetime.datetime.strptime("2024-01-01", "%Y-%m-%d")
    stamps = pd.Timestamp.now(), pd.Timestamp.today(), pd.Timestamp.now("UTC"), pd.to_datetime("".join(("no", "w")))
    assert {stamp.timestamp() for stamp in stamps} == {candles.time[-1]}
    return Signals()
"""
    subject = _subject("from signalist_strategy import Signals\n" + body)
    assert subject.history == 1
