"""The files of the repository as a whole: none holds what a merge left behind, and none a part that the keyboard cannot reach."""

from __future__ import annotations

import re
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


def test_what_scrolls_can_be_scrolled_with_the_keyboard() -> None:
    """A table that is wider than the page has nothing in it that takes the focus, on a phone at the latest."""
    scrolling = {
        f"{path.relative_to(ROOT)}: {found}"
        for path in (ROOT / "templates").rglob("*.html")
        for found in re.findall(r'<div class="scroll"[^>]*>', path.read_text())
    }
    assert len(scrolling) > 20, "nothing was looked at"
    assert {one for one in scrolling if 'tabindex="0"' not in one or "aria-label" not in one} == set()
