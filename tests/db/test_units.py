"""Units of work: one commit each, with a marked place behind it where a test may kill the process."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import IntegrityError, connection

from signalist.accounts.models import PaperAccount
from signalist.db import units
from signalist.db.units import statement_unit, unit

ROOT = Path(__file__).resolve().parents[2]
UNITS = """
import django
django.setup()
from django.db import IntegrityError, connection
from signalist.db.units import unit
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE steps (name text)")
for name in ("decide", "place", "place", "measure"):
    with unit(name), connection.cursor() as cursor:
        cursor.execute("INSERT INTO steps VALUES (%s)", [name])
print("reached the end")
"""


def _accounts(*refs: str) -> None:
    for ref in refs:
        PaperAccount.objects.create(ref=ref, currency="USD", cash=1)


# --- Commit --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_unit_is_committed_before_its_failpoint_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[tuple[str, bool, int]] = []

    def noted(name: str) -> None:
        passed.append((name, connection.in_atomic_block, PaperAccount.objects.count()))

    monkeypatch.setattr(units, "failpoint", noted)
    with unit("decide"):
        assert connection.in_atomic_block
        _accounts("A")
    assert passed == [("decide.committed", False, 1)]


@pytest.mark.django_db(transaction=True)
def test_a_unit_that_fails_leaves_nothing_and_passes_no_failpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[str] = []
    monkeypatch.setattr(units, "failpoint", passed.append)
    with pytest.raises(IntegrityError), unit("decide"):
        _accounts("A", "A")
    assert PaperAccount.objects.count() == 0
    assert passed == []


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_commits_by_itself_has_its_failpoint_too(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[tuple[str, int]] = []
    monkeypatch.setattr(units, "failpoint", lambda name: passed.append((name, PaperAccount.objects.count())))
    with statement_unit("fan_out"):
        assert not connection.in_atomic_block
        _accounts("A")
    with pytest.raises(IntegrityError), statement_unit("fan_out"):
        _accounts("A")
    assert passed == [("fan_out.committed", 1)]


# --- Failpoints ----------------------------------------------------------------------------------


def _run(folder: Path, failpoint: str) -> tuple[int, str, list[str]]:
    """Run the units in a process of their own; its end, its output and the steps that it committed."""
    database = folder / "units.sqlite3"
    settings = {"DJANGO_SETTINGS_MODULE": "signalist.settings", "DATABASE_URL": f"sqlite:///{database}"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")} | settings
    process = subprocess.run(
        [sys.executable, "-c", UNITS],
        cwd=ROOT,
        env=environment | {"SIGNALIST_FAILPOINT": failpoint},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    with sqlite3.connect(database) as reader:
        steps = [name for (name,) in reader.execute("SELECT name FROM steps ORDER BY rowid")]
    return process.returncode, process.stdout.strip(), steps


@pytest.mark.parametrize(
    ("failpoint", "committed"),
    [
        ("decide.committed", ["decide"]),
        ("place.committed", ["decide", "place"]),
        ("place.committed:2", ["decide", "place", "place"]),
    ],
)
def test_the_process_is_killed_right_behind_the_commit(tmp_path: Path, failpoint: str, committed: list[str]) -> None:
    assert _run(tmp_path, failpoint) == (-signal.SIGKILL, "", committed)


@pytest.mark.parametrize("failpoint", ["protect.committed", "place.committed:3"])
def test_a_place_that_is_not_passed_kills_nobody(tmp_path: Path, failpoint: str) -> None:
    assert _run(tmp_path, failpoint) == (0, "reached the end", ["decide", "place", "place", "measure"])
