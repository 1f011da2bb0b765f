"""Bad input: a clear message, recorded, and nobody else is stopped by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signalist.strategies.models import RunStatus, StrategyRun
from tests.flows.commands import Databases, OwnDatabase, manage, replay
from tests.flows.recordings import HEADER, table
from tests.flows.scene import Scene, opened, statuses

FIRST = 1_700_000_040
BUYS = """
import numpy as np
from signalist_strategy import Signals

parameters = {}
history = 1


def signals(candles, parameters):
    return Signals(
        enter_long=np.ones(len(candles), bool), stop_long=candles.close * 0.99, target_long=candles.close * 1.02
    )
"""


# --- Commands ------------------------------------------------------------------------------------


def minutes(count: int = 5, **changed: object) -> list[list[object]]:
    """A sound recording as lines, with values of its third row changed by the names of their columns."""
    lines: list[list[object]] = [list(HEADER)]
    lines += [[FIRST + 60 * n, "40000.0", "40010.0", "39990.0", "40000.0", "1.0"] for n in range(count)]
    for name, value in changed.items():
        lines[3][HEADER.index(name)] = value
    return lines


RECORDINGS: dict[str, tuple[Callable[[], list[list[object]]], str]] = {
    "a missing column": (
        lambda: [line[:-1] for line in minutes()],
        "line 1, column volume: there is no such column (the columns are open_time, open, high, low, close); add it.",
    ),
    "unsorted": (
        lambda: [*minutes()[:2], *reversed(minutes()[2:])],
        "line 4, column open_time: this time is before that of the row above; sort the rows by time.",
    ),
    "a minute twice": (
        lambda: minutes(open_time=FIRST + 60),
        "line 4, column open_time: this time is there twice; keep one row for each candle.",
    ),
    "not a number": (
        lambda: minutes(close="NaN"),
        "line 4, column close: NaN is not a finite number; correct or remove the row.",
    ),
    "infinite": (
        lambda: minutes(volume="Infinity"),
        "line 4, column volume: Infinity is not a finite number; correct or remove the row.",
    ),
    "a negative price": (
        lambda: minutes(low="-39990.0"),
        "line 4, column low: a price of -39990.0 is not above zero; correct or remove the row.",
    ),
    "text for a price": (
        lambda: minutes(open="forty"),
        "line 4, column open: 'forty' is not a number; correct or remove the row.",
    ),
    "no candles": (lambda: minutes(0), "has no candles; give a file with at least one row below its header."),
}


def assert_refused(answer: object, sentence: str) -> None:
    """Exit status 2, one sentence on standard error, nothing on standard output."""
    assert (answer.status, answer.out) == (2, ""), answer.err  # type: ignore[attr-defined]
    (line,) = answer.err.splitlines()  # type: ignore[attr-defined]
    assert sentence in line
    assert line.endswith(".")


@pytest.mark.parametrize(
    "what",
    [
        what
        if number < 3
        else pytest.param(what, marks=pytest.mark.soak)  # tests/markets/test_recordings.py reads all of them
        for number, what in enumerate(RECORDINGS)
    ],
)
def test_a_recording_that_is_wrong_is_refused_with_its_line_and_column(
    what: str, own_database: OwnDatabase, tmp_path: Path
) -> None:
    make, sentence = RECORDINGS[what]
    recording = table(tmp_path / "wrong.csv", make())
    answer = replay(own_database, recording)
    assert_refused(answer, sentence)
    assert answer.err.startswith(str(recording))
    assert own_database.rows("SELECT COUNT(*) FROM markets_candle") == [(0,)]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A recording with nothing wrong."""
    return table(tmp_path / "sound.csv", minutes())


def test_a_recording_that_is_not_there_is_refused(own_database: OwnDatabase, tmp_path: Path) -> None:
    answer = replay(own_database, tmp_path / "nowhere.csv")
    assert_refused(
        answer, "nowhere.csv cannot be read (No such file or directory); give the path of a CSV or CSV.gz file."
    )


def test_an_unknown_strategy_is_refused_with_those_that_there_are(own_database: OwnDatabase, sound: Path) -> None:
    answer = replay(own_database, sound, strategy="crystal-ball")
    assert_refused(
        answer,
        "There is no strategy 'crystal-ball'; the library has bollinger-breakout, bollinger-reversion, donchian-breakout, macd-crossover, "
        "moving-average-crossover, multi-timeframe, rsi-mean-reversion, signalist-sma-3c, three-rsi, weighted-score.",
    )


@pytest.mark.parametrize("count", [0, -3])
def test_a_replay_without_subscribers_is_refused(own_database: OwnDatabase, sound: Path, count: int) -> None:
    assert_refused(replay(own_database, sound, subscribers=count), "A replay needs at least one subscriber.")


def test_a_timeframe_that_does_not_exist_is_refused_with_those_that_do(own_database: OwnDatabase, sound: Path) -> None:
    arguments = ["--instrument", "BTC-PERP", "--strategy", "moving-average-crossover", "--subscribers", "2", "--json"]
    answer = manage(own_database, "replay", str(sound), "--timeframe", "7m", *arguments)
    assert_refused(answer, "'7m' is not a timeframe; use one of 10s, 1m, 5m,")


def test_a_recording_of_another_timeframe_is_refused(own_database: OwnDatabase, sound: Path) -> None:
    arguments = ["--instrument", "BTC-PERP", "--strategy", "moving-average-crossover", "--subscribers", "2", "--json"]
    answer = manage(own_database, "replay", str(sound), "--timeframe", "5m", *arguments)
    assert_refused(answer, "is not on the 5m grid; choose the timeframe of the file.")


def test_a_range_without_candles_is_refused_with_the_one_there_is(own_database: OwnDatabase, sound: Path) -> None:
    answer = replay(own_database, sound, "--start", "2024-01-01")
    assert_refused(answer, "has no candles in the wanted range; it covers 2023-11-14T22:14:00Z to 2023-11-14T22:19:00Z")


def test_a_strategy_of_the_database_that_does_not_load_fails_every_run_and_trades_nothing(
    own_database: OwnDatabase, sound: Path
) -> None:
    code = (
        "from signalist.strategies.models import *;"
        "s = Strategy.objects.create(slug='broken', name='Broken');"
        "StrategyVersion.objects.create(strategy=s, number=1, source='def signals(', content_hash='', history=1, state='PUBLISHED')"
    )
    assert manage(own_database, "shell", "-c", code).status == 0
    answer = replay(own_database, sound, strategy="broken")
    assert answer.report["runs_by_status"] == {"FAILED": 5}
    assert answer.report["trades"] == 0


@pytest.mark.parametrize("what", ["a file of something else", "a folder that cannot be made", "no server"])
def test_a_database_that_cannot_be_used_is_refused(what: str, sound: Path, tmp_path: Path) -> None:
    place = tmp_path / "letter.txt"
    place.write_text("This is not a database. " * 500)
    url = {
        "a file of something else": f"sqlite:///{place}",
        "a folder that cannot be made": f"sqlite:///{place}/below/it.sqlite3",
        "no server": "postgres://nobody:nothing@127.0.0.1:1/signalist",
    }[what]
    assert_refused(replay(OwnDatabase(url), sound), "atabase")


def test_a_replay_beside_another_on_one_database_is_refused(
    databases: Databases, migrated: OwnDatabase, sound: Path
) -> None:
    database = databases.copy(migrated)
    code = (
        "import os; from signalist.clock import SystemClock; from signalist.execution import engines;"
        "engines.register(SystemClock()); from django.core.management import call_command;"
        f"import subprocess, sys; done = subprocess.run([sys.executable, 'manage.py', 'replay', {str(sound)!r},"
        "'--instrument', 'BTC-PERP', '--timeframe', '1m', '--strategy', 'moving-average-crossover', '--json'],"
        "capture_output=True, text=True); print(done.returncode, done.stdout, done.stderr.splitlines()[-1], sep='|')"
    )
    told = manage(database, "shell", "-c", code)
    status, out, sentence = told.out.strip().splitlines()[-1].split("|")
    assert (status, out) == ("2", "")
    assert sentence.startswith("An engine already runs on this database (process ")


# --- Strategies ----------------------------------------------------------------------------------


def strategy(body: str) -> str:
    """A strategy file whose function has this body, which begins at its seventh line."""
    return (
        "import numpy as np\nfrom signalist_strategy import Signals\n\nparameters = {}\nhistory = 1\n"
        f"def signals(candles, parameters):\n    {body}\n"
    )


STRATEGIES = {
    "raises": (strategy("return 1 / 0"), "raised", "ZeroDivisionError: division by zero", 7),
    "hangs": (strategy("while True: pass"), "timed_out", "", None),
    "returns a number": (strategy("return 42"), "bad_output", "", None),
    "returns too many values": (
        strategy("return Signals(enter_long=np.ones(len(candles) + 1, bool))"),
        "bad_output",
        "enter_long",
        None,
    ),
    "contradicts itself": (
        strategy("return Signals(enter_long=[True] * len(candles), enter_short=[True] * len(candles))"),
        "bad_output",
        "",
        None,
    ),
    "prints megabytes": (strategy("print('x' * (8 << 20)); return Signals()"), "too_much_output", "", None),
    "is no Python": ("def signals(\n", "syntax", "", 1),
    "declares nothing": (
        "answer = 42\n",
        "declaration",
        "The file has no function signals(candles, parameters), on_candle",
        None,
    ),
    "ends its process": (
        strategy("type(candles).__len__.__globals__['__builtins__']['__import__']('os')._exit(3)"),
        "died",
        "",
        None,
    ),
}


@pytest.fixture
def world(transactional_db: None) -> Iterator[Scene]:
    """The scene, with half a second for a strategy."""
    with opened(time_limit=0.5) as scene:
        yield scene


@pytest.mark.parametrize("what", STRATEGIES)
def test_a_strategy_that_fails_is_recorded_and_the_other_one_of_its_candle_trades(what: str, world: Scene) -> None:
    source, kind, message, line = STRATEGIES[what]
    bad = world.strategy("bad", world.btc, source)
    good = world.strategy("good", world.btc, BUYS)
    world.subscriber("Bea", schedule=bad)
    theo = world.subscriber("Theo", schedule=good)
    world.candle()
    failed = StrategyRun.objects.get(schedule=bad)
    assert (failed.status, failed.error_kind) == (RunStatus.FAILED, kind)
    assert message in failed.error and failed.error
    assert failed.error_line == line or line is None
    assert failed.finished_at == world.clock.now()
    (told,) = world.events("strategy_failed")
    assert told == {
        "schedule": bad.pk,
        "candle": world.clock.now().isoformat(),
        "kind": kind,
        "message": failed.error,
        "line": failed.error_line,
    }
    assert StrategyRun.objects.get(schedule=good).status == RunStatus.SUCCESS
    assert statuses(world.orders(theo)) == [("ENTRY", "FILLED"), ("STOP", "WORKING"), ("TARGET", "WORKING")]


def test_a_strategy_that_failed_is_tried_again_at_the_next_candle(world: Scene) -> None:
    once = world.strategy("moody", world.btc, strategy("assert candles.close[-1] > 40000; return Signals()"))
    world.candle()
    world.candle(close="40100")
    assert list(
        StrategyRun.objects.filter(schedule=once).order_by("candle_close").values_list("status", flat=True)
    ) == [
        RunStatus.FAILED,
        RunStatus.NO_SIGNAL,
    ]


def test_a_strategy_that_puts_its_stop_on_the_wrong_side_trades_nobody(world: Scene) -> None:
    body = "n = len(candles); return Signals(enter_long=np.ones(n, bool), stop_long=candles.close * 1.01)"
    wrong = world.strategy("wrong", world.btc, strategy(body))
    theo = world.subscriber("Theo", schedule=wrong)
    world.candle()
    denied = world.execution(theo)
    assert (denied.status, denied.rule) == ("DENIED", "stop_side")
    assert "the stop 40400.0000000000 of a long must lie below the price 40000" in denied.numbers["problem"]
    assert world.orders(theo) == []


def test_a_candle_that_is_not_stored_fails_its_run_with_a_sentence(world: Scene) -> None:
    missing = world.strategy("missing", world.btc, BUYS)
    run = StrategyRun.objects.create(
        schedule=missing, candle_close=world.clock.now(), engine=world.engine.id, claimed_at=world.clock.now()
    )
    world.drive(world.engine.running.make(run, None))
    run.refresh_from_db()
    assert (run.status, run.error) == (RunStatus.FAILED, "the candle of 2024-05-06 12:00 is not stored")
