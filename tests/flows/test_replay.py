"""`manage.py replay`: recorded candles through the whole chain, as another program calls it."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import templates
from tests.flows.books import assert_books_balance
from tests.flows.commands import Databases, OwnDatabase, Said, manage, replay
from tests.flows.recordings import minutes_of, walk

BARS, SUBSCRIBERS = 280, 5
LAST_CLOSE = datetime.fromtimestamp(1_700_000_040 + 60 * BARS, UTC)
PROMISED = set(
    "candles runs signals executions orders fills trades net_pnl duplicates unprotected seconds candles_per_second digest".split()
)
DECISIONS = {"taken", "resized", "skipped", "denied"}
STATES = set("CREATED SENDING WORKING UNKNOWN PARTIAL FILLED CANCELLED DENIED REJECTED EXPIRED".split())


@dataclass(frozen=True, slots=True)
class Finished:
    """A replay of the walk that was never disturbed, on a database that was empty before."""

    database: OwnDatabase
    recording: Path
    said: Said

    @property
    def report(self) -> dict[str, Any]:
        return self.said.report


@pytest.fixture(scope="module")
def finished(databases: Databases, migrated: OwnDatabase, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One replay that several tests look at. On SQLite its database is behind: the command sets up what is missing. Making all tables
    takes far longer than what follows; another command has done that for the whole run."""
    recording = walk(tmp_path_factory.mktemp("recordings") / "walk.csv", BARS)
    database = databases.copy(migrated)
    if migrated.vendor == "sqlite":
        fall_behind(database)
    return Finished(database, recording, replay(database, recording, subscribers=SUBSCRIBERS))


def fall_behind(database: OwnDatabase) -> None:
    """Leave it, on SQLite, without the tables of one app, as if that were newer than the database."""
    with closing(sqlite3.connect(urlsplit(database.url).path[1:])) as connection, connection:
        connection.execute("DROP TABLE django_session")
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")


def test_what_the_database_lacks_is_set_up_first(finished: Finished) -> None:
    assert finished.said.status == 0
    assert finished.database.rows("SELECT COUNT(*) FROM django_session") == [(0,)]


@pytest.mark.soak
def test_an_empty_database_will_do(finished: Finished, databases: Databases) -> None:
    nothing = databases.empty()
    report = replay(nothing, finished.recording, subscribers=SUBSCRIBERS).report
    assert report["digest"] == finished.report["digest"]
    assert_books_balance(nothing)


def test_the_report_has_every_key_that_programs_rely_on(finished: Finished) -> None:
    report = finished.report
    assert report.keys() >= PROMISED
    assert report["executions"].keys() >= DECISIONS
    assert report["orders"].keys() <= STATES
    counts = [report[name] for name in ("candles", "runs", "signals", "fills", "trades", "duplicates", "unprotected")]
    assert all(
        isinstance(count, int) for count in [*counts, *report["executions"].values(), *report["orders"].values()]
    )
    assert re.fullmatch(r"[0-9a-f]{64}", report["digest"])
    assert Decimal(report["net_pnl"]).is_finite()
    assert report["seconds"] > 0 and report["candles_per_second"] > 0


def test_standard_output_holds_one_json_object_and_nothing_else(finished: Finished) -> None:
    assert finished.said.out.count("\n") <= 1
    assert isinstance(json.loads(finished.said.out), dict)


def test_progress_goes_to_standard_error(finished: Finished) -> None:
    assert re.search(rf"^2023-11-14 22:15 +1/{BARS} ", finished.said.err, re.MULTILINE)
    assert "Traceback" not in finished.said.err


def test_every_candle_is_run_once_and_every_signal_answered_by_every_subscriber(finished: Finished) -> None:
    report = finished.report
    assert report["candles"] == report["runs"] == BARS
    assert report["runs_by_status"].keys() == {"NO_SIGNAL", "SUCCESS"}
    assert report["signals"] > 20
    assert sum(report["executions"].values()) == report["signals"] * SUBSCRIBERS
    assert report["executions"]["pending"] == 0
    assert report["executions"]["taken"] + report["executions"]["resized"] > 0


def test_no_entry_is_doubled_and_no_position_is_ever_without_a_stop(finished: Finished) -> None:
    assert finished.report["trades"] > 20
    assert finished.report["duplicates"] == 0
    assert finished.report["unprotected"] == 0


def test_the_books_of_venue_and_house_agree(finished: Finished) -> None:
    assert_books_balance(finished.database)


def test_the_last_subscriber_trades_the_same_pair_in_another_currency_and_scale(finished: Finished) -> None:
    traded = finished.database.rows(
        "SELECT i.symbol, i.quote, COUNT(*) FROM trading_trade t JOIN markets_instrument i ON i.id = t.instrument_id"
        " GROUP BY i.symbol, i.quote ORDER BY i.symbol"
    )
    assert [(symbol, quote) for symbol, quote, _ in traded] == [("BTC-PERP", "USD"), ("BTC-PERP-INR", "INR")]
    prices = finished.database.rows(
        "SELECT i.symbol, t.entry_price FROM trading_trade t JOIN markets_instrument i ON i.id = t.instrument_id"
    )
    for symbol, price in prices:
        assert float(price) == pytest.approx(40_000 * (74.5 if "INR" in symbol else 1), rel=0.2)


def test_trades_end_by_stop_by_target_and_by_signal(finished: Finished) -> None:
    ended = {exit_type for (exit_type,) in finished.database.rows("SELECT DISTINCT exit_type FROM trading_trade")}
    assert ended == {"STOP_LOSS", "TAKE_PROFIT", "SIGNAL"}


def test_the_same_input_and_seed_give_the_same_in_one_go_or_in_two(
    finished: Finished, own_database: OwnDatabase
) -> None:
    first = replay(own_database, finished.recording, "--end", "2023-11-15T00:30:00Z", subscribers=SUBSCRIBERS).report
    assert 0 < first["trades"] < finished.report["trades"]
    again = replay(own_database, finished.recording, subscribers=SUBSCRIBERS).report
    timing = ("seconds", "candles_per_second")
    assert {k: v for k, v in again.items() if k not in timing} == {
        k: v for k, v in finished.report.items() if k not in timing
    }


def test_another_seed_gives_another_digest(finished: Finished, own_database: OwnDatabase) -> None:
    other = replay(own_database, finished.recording, subscribers=SUBSCRIBERS, seed=7).report
    assert other["signals"] == finished.report["signals"]
    assert other["digest"] != finished.report["digest"]


def test_a_finished_replay_can_be_asked_again_and_answers_the_same(finished: Finished, databases: Databases) -> None:
    again = replay(databases.copy(finished.database), finished.recording, subscribers=SUBSCRIBERS)
    assert again.report["digest"] == finished.report["digest"]
    assert again.report["fills"] == finished.report["fills"]
    assert f"going on after {LAST_CLOSE:%Y-%m-%d %H:%M}" in again.err


def test_a_database_with_another_replay_of_the_same_is_refused(finished: Finished, databases: Databases) -> None:
    answer = replay(databases.copy(finished.database), finished.recording, subscribers=SUBSCRIBERS, seed=8)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith(
        "This database holds a replay of the same strategy and instrument with other subscribers"
    )


def test_without_json_the_report_is_a_list_for_people(finished: Finished, databases: Databases) -> None:
    arguments = ["--instrument", "BTC-PERP", "--timeframe", "1m", "--strategy", "moving-average-crossover"]
    command = ["replay", str(finished.recording), *arguments, "--subscribers", str(SUBSCRIBERS)]
    told = manage(databases.copy(finished.database), *command)
    assert told.status == 0
    assert re.search(rf"^digest +{finished.report['digest']}$", told.out, re.MULTILINE)


@pytest.mark.parametrize("hours", [8, pytest.param(48, marks=pytest.mark.soak)])
def test_a_day_of_minutes_balances(hours: int, own_database: OwnDatabase, tmp_path: Path) -> None:
    recording, cut = minutes_of(hours, tmp_path)
    report = replay(own_database, recording, *cut, subscribers=2).report
    assert report["candles"] == report["runs"] == 60 * hours
    assert report["signals"] > 3 * hours
    assert report["trades"] > hours
    assert (report["duplicates"], report["unprotected"]) == (0, 0)
    assert_books_balance(own_database)


@pytest.mark.postgresql
def test_sqlite_and_postgresql_come_to_the_same_digest(finished: Finished, databases: Databases) -> None:
    assert finished.database.vendor == "postgresql"
    on_sqlite = databases.copy(templates.on_sqlite())
    other = replay(on_sqlite, finished.recording, subscribers=SUBSCRIBERS)
    assert on_sqlite.vendor == "sqlite"
    assert other.report["digest"] == finished.report["digest"]
    assert other.report["net_pnl"] == finished.report["net_pnl"]
