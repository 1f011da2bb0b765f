"""The locks: everything pinned and hashed, one file to install, nothing in them about the machine that made them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "requirements"
_PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\\n(?P<hashes>(?:    --hash=\S+(?: \\)?\n)+)",
    re.M,
)


def _pins(name: str) -> dict[tuple[str, str], str]:
    return {(pin["name"], pin["marker"] or ""): pin["version"] for pin in _PIN.finditer((FOLDER / name).read_text())}


@pytest.mark.parametrize("name", ["base.txt", "dev.txt", "bench.txt"])
def test_every_line_is_a_hashed_pin(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert len(_pins(name)) > 20
    assert [line for line in _PIN.sub("", text).splitlines() if not line.startswith("#")] == []


@pytest.mark.parametrize("name", ["base.txt", "dev.txt", "bench.txt"])
def test_no_lock_names_a_host_or_a_path(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert re.findall(r"\w+://\S+|^--\S+|\s/\w\S*", text, re.MULTILINE) == []


def test_the_development_lock_holds_the_base_lock() -> None:
    development = _pins("dev.txt")
    assert {pin: development.get(pin) for pin in _pins("base.txt")} == _pins("base.txt")


def test_django_stays_on_its_long_term_release() -> None:
    assert _pins("base.txt")["django", ""].startswith("5.2.")
