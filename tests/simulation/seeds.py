"""What every seed that is told in the tests must have and hold."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from signalist.engine.simulation.story import FAULTS, ORDERS, Outcome, simulate


def few_elsewhere(seeds: range) -> range:
    """All of these seeds on SQLite; elsewhere a few, since a seed tells the same story on every database, and slower."""
    return seeds if connection.vendor == "sqlite" else seeds[:2]


def assert_hold(seeds: Iterable[int]) -> list[Outcome]:
    """Every seed holds, and had enough orders and faults to mean something."""
    outcomes = [simulate(seed) for seed in seeds]
    failed = [f"--seeds {o.seed}-{o.seed}: {o.step}: {o.invariant}: {o.numbers}" for o in outcomes if not o.holds]
    assert not failed, "\n".join(failed)
    assert all(o.orders >= ORDERS and o.faults.total() >= FAULTS for o in outcomes)
    return outcomes
