"""The files of the repository as a whole: none holds what a merge left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Written so that this file holds none itself.
MARKS = tuple(mark * 7 for mark in (b"<", b">"))


# What is made here or comes from elsewhere, beside what begins with a dot.
NOT_OURS = {"node_modules", "var", "__pycache__"}


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink() or path.name in NOT_OURS or (path.name.startswith(".") and path.name != ".ci"):
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def test_no_file_holds_a_conflict_s_marks() -> None:
    files = list(_files(ROOT))
    assert ROOT / "templates" / "base.html" in files and len(files) > 500, "nothing was looked at"
    marked = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1)
        if line.startswith(MARKS)
    ]
    assert marked == []
