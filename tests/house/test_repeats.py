"""The list of stories that PostgreSQL is not told each time names tests that there are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.repeats import TRIED_ON_BOTH, is_one

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("file", TRIED_ON_BOTH)
def test_what_is_tried_on_both_is_there(file: str) -> None:
    nodes = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    tests = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert TRIED_ON_BOTH[file] and set(TRIED_ON_BOTH[file]) <= tests


def test_a_test_is_left_out_by_its_file_unless_it_is_named() -> None:
    file, (named, *_) = next(iter(TRIED_ON_BOTH.items()))
    assert is_one(f"{file}::test_of_another_name[1]")
    assert not is_one(f"{file}::{named}[1]")
    assert not is_one("tests/flows/test_crashes.py::test_of_another_name")
