"""The benchmark measures what it says, and names a strategy that cannot be measured."""

from __future__ import annotations

import pytest

from signalist.sandbox import bench
from signalist.sandbox.bench import Spread, Unmeasured
from tests.sandbox.test_runs import strategy


def test_it_measures_runs_beside_bare_forks_and_many_at_once() -> None:
    found = bench.measure(strategy("return Signals()", "50"), runs=3, bars=60, due=8)
    said = found.as_json()
    assert (said["runs"], said["bars"], said["due"]) == (3, 60, 8)
    assert 0 < found.fork_ms.median <= found.fork_ms.p99
    assert 0 < found.run_ms.median <= found.run_ms.p99
    assert found.boundary_s > 0
    assert said["threads"] == 2  # as the engine has
    with pytest.raises(Unmeasured, match="raised: ZeroDivisionError"):
        bench.measure(strategy("1 / 0"), runs=1, bars=2, due=0)


def test_a_spread_is_the_median_and_the_99th_percentile() -> None:
    assert Spread.of([n / 1000 for n in range(100)]) == Spread(50.0, 99.0)
