"""The files of the repository as a whole: none holds what a merge left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Written so that this file holds none itself.
MARKS = tuple(mark * 7 for mark in (b"<", b">"))


def _files() -> list[Path]:
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    return [ROOT / name for name in told.decode().split("\0") if name]


def test_no_file_holds_a_conflict_s_marks() -> None:
    files = [path for path in _files() if path.is_file()]
    assert ROOT / "templates" / "base.html" in files and len(files) > 500, "nothing was looked at"
    marked = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1)
        if line.startswith(MARKS)
    ]
    assert marked == []
