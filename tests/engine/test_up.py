"""`manage.py up`: web, worker and engine on one machine, watched over, and gone with it however it goes."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.processes import command, until
from tests.engine.up import PATIENCE, Up, free_port
from tests.flows.commands import Databases, OwnDatabase, manage


@pytest.fixture
def up(own_database: OwnDatabase, tmp_path: Path) -> Iterator[Up]:
    """Everything is up and has said so."""
    started = Up(own_database, tmp_path / "told")
    try:
        until(lambda: started.lines("Signalist is at"), "it is up", PATIENCE)
        until(lambda: started.lines("worker | ") and started.lines("engine | The engine"), "all have begun", PATIENCE)
        yield started
    finally:
        started.end()


def test_what_crashes_comes_back_and_all_of_it_stops_when_asked(up: Up, own_database: OwnDatabase) -> None:
    assert up.lines(f"Signalist is at http://127.0.0.1:{up.port}/")
    assert up.answers()
    for process in ("web", "engine", "worker"):
        until(lambda process=process: well(own_database, process, up.port), f"{process} is well", PATIENCE)  # type: ignore[misc]
    for name, words in (("web", "daphne"), ("engine", "manage.py engine"), ("worker", "qcluster")):
        killed = up.running(words)
        os.kill(killed, signal.SIGKILL)
        until(
            lambda name=name: up.lines(f"{name:6} | ended with status 137"), f"the end of {name} is noticed", PATIENCE
        )  # type: ignore[misc]
        until(lambda words=words: any(words in command(pid) for pid in up.others()), f"{words} is back", PATIENCE)  # type: ignore[misc]
        assert killed not in up.others()
    until(lambda: len(up.lines("engine | The engine is starting.")) > 1, "the engine is back", PATIENCE)
    until(lambda: _answers(up), "the web answers again", PATIENCE)
    up.process.terminate()
    assert up.process.wait(PATIENCE) == 0
    assert up.lines("Everything has stopped.")
    assert up.others() == set()
    assert not any(well(own_database, process, up.port) for process in ("web", "engine", "worker"))


def test_nobody_outlives_it_when_it_is_killed(up: Up) -> None:
    assert len(up.others()) > 6, "keepers, programs, and what the job runner forks"
    up.process.kill()
    until(lambda: up.others() == set(), "all have ended", PATIENCE)


@pytest.mark.soak
def test_for_a_recorded_market_an_empty_database_and_one_command_will_do(databases: Databases, tmp_path: Path) -> None:
    """Whatever market the environment names; and started with `nohup`, it outlives its terminal."""
    database = databases.empty()
    up = Up(database, tmp_path / "told", "--market", "recorded", nohup=True, SIGNALIST_MARKET="synthetic")
    try:
        until(lambda: up.lines("engine | The engine is starting."), "the engine starts", PATIENCE)
        clocks = "SELECT clock FROM execution_engineprocess WHERE ended_at IS NULL"
        until(lambda: database.rows(clocks) == [("market",)], "it takes its time from the market", PATIENCE)
        up.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert up.process.poll() is None and up.running("manage.py engine")
        up.process.terminate()
        assert up.process.wait(PATIENCE) == 0
    finally:
        up.end()


def test_a_database_that_cannot_be_used_is_said_in_a_sentence(own_database: OwnDatabase, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("This is no database, and far longer than the header of one would be. " * 9)
    said = manage(OwnDatabase(f"sqlite:///{tmp_path / 'file'}"), "up", "--port", str(free_port()))
    assert said.status == 2
    assert said.err == "The database that DATABASE_URL names cannot be used: file is not a database.\n"


def test_a_busy_port_is_said_before_anything_starts(own_database: OwnDatabase) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        said = manage(own_database, "up", "--port", str(port))
    assert said.status == 2
    assert said.out == ""
    assert said.err == (
        f"Nothing can listen at 127.0.0.1 port {port} (address already in use); choose another with --port.\n"
    )
    assert own_database.rows("SELECT COUNT(*) FROM execution_engineprocess") == [(0,)]


def well(database: OwnDatabase, process: str, port: int) -> bool:
    """What `manage.py health` makes of a process of this machine."""
    said = manage(database, "health", process, "--port", str(port))
    assert said.status in (0, 1), said.err
    assert said.out.startswith(f"{process}: ")
    assert said.out.count("\n") == 1
    return said.status == 0


def _answers(up: Up) -> bool:
    try:
        return up.answers()
    except OSError:
        return False
