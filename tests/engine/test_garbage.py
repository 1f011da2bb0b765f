"""How seldom a process that trades looks for cycles: `signalist.engine.garbage`."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from signalist.engine.garbage import look_seldom


@pytest.fixture
def as_before() -> Iterator[None]:
    """Garbage collection as Python begins with it; afterwards as the tests' own process has it, which looks as seldom."""
    before = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_it_leaves_out_what_is_loaded_and_still_finds_new_cycles(as_before: None) -> None:
    look_seldom()
    assert gc.get_freeze_count() > 10_000, "what is loaded is looked at again and again"
    assert gc.isenabled()
    looks = gc.get_stats()[0]["collections"]
    kept = [[n] for n in range(20_000)]
    assert gc.get_stats()[0]["collections"] == looks, f"a fan-out of {len(kept)} objects is interrupted"
    for _ in range(60_000):
        cycle: list[object] = []
        cycle.append(cycle)
    assert gc.get_stats()[0]["collections"] > looks, "cycles are never given back"
