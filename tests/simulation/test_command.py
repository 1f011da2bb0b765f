"""`manage.py simulate`: what it tells of seeds that hold, of one that fails, and what it will not run on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from signalist.engine.simulation.story import simulate
from signalist.execution import protect
from tests.cast import Cast
from tests.simulation.test_planted import an_exit_goes_over_its_stop

ROOT = Path(__file__).resolve().parents[2]


def simulated_on_sqlite(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, on a SQLite file that is made for it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    environment["DATABASE_URL"] = f"sqlite:///{folder / 'own.sqlite3'}"
    return subprocess.run(
        [sys.executable, "manage.py", "simulate", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.soak
def test_it_makes_its_database_and_reports(tmp_path: Path) -> None:
    done = simulated_on_sqlite(tmp_path, "--seeds", "7-7", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["seeds"] == 1 and report["failed"] == []
    assert report["fewest_orders"] >= 200 and report["fewest_faults"] >= 5
    assert report["transitions"]["CREATED -> SENDING"] >= 200
    assert "SENDING -> DENIED" in report["never_taken"], "one seed cannot do everything"


@pytest.mark.django_db(transaction=True)
def test_a_failing_seed_says_where_and_how_to_tell_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    an_exit_goes_over_its_stop(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        call_command("simulate", "--seeds", "3-3", "--trace")
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "seed 3 FAILED at step" in said.err
    assert "requests: an exit was sent over a " in said.err
    assert "manage.py simulate --seeds 3-3 --trace" in said.err
    assert "a minute passes" in said.err


@pytest.mark.django_db(transaction=True)
def test_what_an_engine_raises_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*arguments: Any) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(protect, "cover", breaks)
    outcome = simulate(1)
    assert (outcome.invariant, outcome.numbers) == ("the engine works", "ZeroDivisionError: planted")


@pytest.mark.django_db(transaction=True)
def test_it_leaves_a_database_alone_that_somebody_uses(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("simulate", "--seeds", "1-1")
    assert ended.value.code == 2
    assert "This database is in use" in capsys.readouterr().err


def test_it_wants_seeds_that_it_can_read(tmp_path: Path) -> None:
    done = simulated_on_sqlite(tmp_path, "--seeds", "9-3")
    assert done.returncode != 0
    assert "such as 1-50" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_seed_tells_the_same_story_again() -> None:
    first, again = simulate(11), simulate(11)
    assert first.trace == again.trace
    assert first.digest == again.digest


@pytest.mark.soak
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_seed_tells_the_same_story_on_both_databases(tmp_path: Path) -> None:
    told = json.loads(simulated_on_sqlite(tmp_path, "--seeds", "1-3", "--json").stdout)
    assert {str(seed): simulate(seed).digest for seed in (1, 2, 3)} == told["digests"]
