"""What fails of few is tried once more, alone; what fails of many, or again, has failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BY_CHANCE = """
from pathlib import Path
import pytest


@pytest.mark.parametrize("number", range({number}))
def test_by_chance(number):
    seen = Path(__file__).parent / str(number)
    assert {always} and seen.exists() or seen.touch()


def test_passes():
    with (Path(__file__).parent / "passes").open("a") as file:
        file.write("once ")
"""


def _suite(folder: Path, number: int, *, always: bool) -> tuple[int, str, str]:
    folder.mkdir()
    text = BY_CHANCE.format(number=number, always=not always)
    (folder / "test_chance.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "tests.suite",
        "-q",
        "-c",
        str(folder / "pytest.ini"),
        "-p",
        "xdist.plugin",
        str(folder),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # to load them takes far longer than what is tried here
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, (folder / "passes").read_text()


def test_a_failure_by_chance_is_named_and_one_that_stays_is_a_failure(tmp_path: Path) -> None:
    status, said, passed = _suite(tmp_path / "few", 2, always=False)
    assert (status, passed) == (0, "once "), said
    assert "PASSED ALONE" in said and "test_by_chance[1]" in said.rpartition("PASSED ALONE")[2]

    status, said, passed = _suite(tmp_path / "same", 1, always=True)
    assert (status, passed) == (1, "once ") and "Once more" in said and "PASSED ALONE" not in said

    status, said, _ = _suite(tmp_path / "many", 4, always=False)
    assert status == 1 and "Once more" not in said
