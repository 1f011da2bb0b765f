"""`manage.py replay … --speed N`: recorded candles in the running product, whose engine takes its time from the market."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from signalist.domain.candles import Candle
from signalist.domain.timeframes import timeframe
from signalist.engine.feeding import _steps, _ticks
from signalist.engine.stepping import Bars
from tests.engine.processes import until
from tests.flows.books import assert_books_balance
from tests.flows.commands import ROOT, OwnDatabase, Said, engine, manage
from tests.flows.forks import Started
from tests.flows.recordings import swings

ARGUMENTS = [
    "--instrument",
    "BTC-PERP",
    "--timeframe",
    "1m",
    "--strategy",
    "rsi-mean-reversion",
    "--subscribers",
    "3",
]
MINUTE = timeframe("1m")
MINUTES, FEW = 48, 36


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Minutes in which the market turns often."""
    return swings(tmp_path / "swings.csv", MINUTES, seed=4)


def fed(database: OwnDatabase, recording: Path, speed: str) -> Said:
    """Feed the recording to its end."""
    return manage(database, "replay", str(recording), *ARGUMENTS, "--speed", speed, "--json")


@contextmanager
def running(database: OwnDatabase, *arguments: str) -> Iterator[Started]:
    """An engine that is up, and ends with the block."""
    with engine(database, *arguments) as process:
        try:
            until(
                lambda: database.rows("SELECT pid FROM execution_engineprocess WHERE ended_at IS NULL"),
                "the engine is up",
                60,
            )
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def test_every_candle_is_run_and_traded_by_the_running_engine(own_database: OwnDatabase, recording: Path) -> None:
    with running(own_database, "--clock", "market"):
        report = fed(own_database, recording, "100000").report
    assert report["candles"] == report["runs"] == MINUTES
    assert set(report["runs_by_status"]) == {"SUCCESS", "NO_SIGNAL"}, "none was late"
    decided = report["executions"]
    assert decided["pending"] == 0
    assert decided["taken"] + decided["resized"] >= 3
    assert report["trades"] > 0
    assert report["duplicates"] == 0
    assert_books_balance(own_database)
    follows = "SELECT COUNT(*) FROM trading_subscription s JOIN tenants_tenant t ON t.id = s.tenant_id WHERE t.name = 'Demo workspace'"
    assert own_database.rows(follows) == [(1,)], "whoever logs in to the demonstration sees it"


def test_stopped_by_hand_it_ends_cleanly_and_goes_on_from_there(own_database: OwnDatabase, tmp_path: Path) -> None:
    recording = swings(tmp_path / "few.csv", FEW, seed=4)
    stored = "SELECT COUNT(*) FROM markets_candle"
    with running(own_database, "--clock", "market"):
        # A shell that runs the suite in its background has all that it starts ignore an interrupt; `env` has it heard again.
        command = [
            "env",
            "--default-signal=INT",
            sys.executable,
            "manage.py",
            "replay",
            str(recording),
            *ARGUMENTS,
            "--speed",
            "100",
        ]
        with subprocess.Popen(
            command, cwd=ROOT, env=own_database.environment(), stderr=subprocess.PIPE, text=True
        ) as feeding:
            until(lambda: own_database.rows(stored)[0][0] >= 6, "three minutes have passed in both markets", 60)
            feeding.send_signal(signal.SIGINT)
            _, err = feeding.communicate(timeout=60)
        assert feeding.returncode == 0
        assert err.splitlines()[-1] == "Stopped. The same command goes on from here."
        assert "Traceback" not in err
        before = own_database.rows(stored)[0][0]
        assert before < 2 * FEW
        assert fed(own_database, recording, "100000").report["candles"] == FEW
    assert_books_balance(own_database)


def test_without_an_engine_it_says_what_to_start(own_database: OwnDatabase, recording: Path) -> None:
    said = fed(own_database, recording, "60")
    assert (said.status, said.out) == (2, "")
    assert said.err == "No engine runs on this database; start `manage.py up --market recorded` first.\n"


def test_beside_an_engine_on_the_systems_clock_it_is_refused(own_database: OwnDatabase, recording: Path) -> None:
    with running(own_database) as process:
        said = fed(own_database, recording, "60")
    assert said.status == 2
    assert said.err == (
        f"An engine on the system's clock runs on this database (process {process.pid}), to which a recording is long past; "
        "stop it and start `manage.py up --market recorded`.\n"
    )
    assert own_database.rows("SELECT COUNT(*) FROM markets_candle") == [(0,)]


@pytest.mark.soak
def test_market_time_does_not_go_back(own_database: OwnDatabase, tmp_path: Path) -> None:
    recording = swings(tmp_path / "swings.csv", 3, seed=4)
    with running(own_database, "--clock", "market"):
        assert fed(own_database, recording, "100000").status == 0
        arguments = [value.replace("BTC-PERP", "ETH-PERP") for value in ARGUMENTS]
        said = manage(own_database, "replay", str(recording), *arguments, "--speed", "60")
    assert said.status == 2
    assert "later than the recording; name another one in DATABASE_URL." in said.err


@pytest.mark.parametrize("speed", ["0", "nan"])
def test_a_speed_is_max_or_a_number_above_zero(own_database: OwnDatabase, recording: Path, speed: str) -> None:
    said = manage(own_database, "replay", str(recording), *ARGUMENTS, f"--speed={speed}")
    assert said.status == 2
    assert f"give max or a number above zero, not '{speed}'" in said.err


# --- The way through a candle ----------------------------------------------------------------------


def bars(opened: str, high: str, low: str, close: str) -> Bars:
    """One candle of an instrument with ticks of a tenth."""
    prices = [Decimal(value) for value in (opened, high, low, close)]
    candle = Candle(datetime(2024, 5, 6, 12, tzinfo=UTC), *prices, Decimal(1))
    return Bars(SimpleNamespace(tick=Decimal("0.1")), [(MINUTE, candle)], prices[-1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("candle", "way"),
    [
        (("100", "106", "98.5", "104"), ["98.5", "106", "104"]),
        (("104", "106", "98.5", "100"), ["106", "98.5", "100"]),
        (("100", "100", "100", "100"), ["100", "100", "100"]),
    ],
)
def test_prices_go_over_both_extremes_to_the_close(candle: tuple[str, str, str, str], way: list[str]) -> None:
    assert list(_ticks(bars(*candle), 3)) == [Decimal(price) for price in way]
    between = list(_ticks(bars(*candle), 240))
    assert [between[79], between[159], between[239]] == [Decimal(price) for price in way]
    assert all(Decimal(candle[2]) <= price <= Decimal(candle[1]) for price in between)


def test_the_number_of_prices_suits_the_pace() -> None:
    assert [_steps(length) for length in (0.0001, 1.0, 3.0, 60.0, 86_400.0)] == [3, 3, 12, 240, 240]
