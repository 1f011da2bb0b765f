"""How fast a stranger's strategy is run: one isolated run beside a bare fork of the same process, and a thousand due at once."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from signalist.clock import monotonic
from signalist.domain.candles import Candle, CandleArrays

from .limits import RUN_SECONDS, RUN_THREADS
from .outcomes import Failed, Ran
from .process import StrategyProcess
from .warm import zygote

PAUSE = 0.02
"""Seconds between two runs: what is due at a boundary finds the machine as it was, not in the middle of the run before."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds over many runs."""

    median: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Of durations in seconds."""
        ordered = sorted(seconds)
        return cls(ordered[len(ordered) // 2] * 1000, ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it: `run_ms` from candle rows to signal rows, `fork_ms` of a bare fork of the warm process, in turn with the runs;
    seconds until all of `due` strategies that were due at one boundary had answered."""

    runs: int
    bars: int
    run_ms: Spread
    fork_ms: Spread
    due: int
    boundary_s: float

    @property
    def p99_over_fork(self) -> float:
        """The run's 99th percentile over the bare fork's."""
        return self.run_ms.p99 / self.fork_ms.p99

    def as_json(self) -> dict[str, object]:
        """For a machine."""
        return {
            "bars": self.bars, "runs": self.runs, "cores": os.cpu_count(),
            "run_ms": {"median": round(self.run_ms.median, 3), "p99": round(self.run_ms.p99, 3)},
            "fork_ms": {"median": round(self.fork_ms.median, 3), "p99": round(self.fork_ms.p99, 3)},
            "p99_over_fork": round(self.p99_over_fork, 2), "due": self.due, "threads": RUN_THREADS,
            "boundary_s": round(self.boundary_s, 2),
        }  # fmt: skip


class Unmeasured(Exception):
    """A run failed while it was measured; the message says how."""


def measure(source: str, *, runs: int, bars: int, due: int) -> Measured:
    """Measure with `source`, which is run as a stranger's. Raises Unmeasured."""
    candles = _candles(bars)
    with StrategyProcess(source, {}) as process:
        _answer(process, candles)
        ran, forked = [], []
        for _ in range(runs):
            ran.append(_timed(lambda: _answer(process, candles)))
            _pause()
            forked.append(_bare_fork())
            _pause()
        boundary = _boundary(source, candles, due)
    return Measured(runs, bars, Spread.of(ran), Spread.of(forked), due, boundary)


def _answer(process: StrategyProcess, candles: Sequence[Candle]) -> None:
    said = process.last(CandleArrays.of(candles))
    if isinstance(said, Failed):
        raise Unmeasured(f"{said.kind}: {said.message}")


def _boundary(source: str, candles: Sequence[Candle], due: int) -> float:
    """Seconds until `due` strategies have answered, each with a door of its own, which knows what it declares as an engine knows it from
    its row, asked by as many threads as the engine has and with its limits."""
    doors = [StrategyProcess(source, {}, time_limit=RUN_SECONDS) for _ in range(due)]
    if doors:
        known = doors[0].manifest()
        for door in doors[1:]:
            if not isinstance(known, Failed):
                door.know(known)
    arrays = CandleArrays.of(candles)
    begun = monotonic()
    with ThreadPoolExecutor(RUN_THREADS) as pool:
        answers = list(pool.map(lambda door: door.last(arrays), doors))
    taken = monotonic() - begun
    failed = [answer for answer in answers if not isinstance(answer, Ran)]
    if failed:
        raise Unmeasured(f"{len(failed)} of {due} failed: {failed[0]}")
    return taken


def _bare_fork() -> float:
    """Seconds from asking the warm process for a bare fork of it until the child's first byte."""
    begun = monotonic()
    with zygote("lean").bare_fork() as line:
        line.recv(1)
    return monotonic() - begun


def _timed(do: Callable[[], None]) -> float:
    begun = monotonic()
    do()
    return monotonic() - begun


def _pause() -> None:
    select.select([], [], [], PAUSE)


def _candles(bars: int) -> list[Candle]:
    """A market that goes up and down."""
    start, candles = datetime(2026, 1, 1, tzinfo=UTC), []
    for n in range(bars):
        price = Decimal(100 + (n * 7) % 13 - (n * 5) % 11)
        candles.append(Candle(start + timedelta(minutes=n + 1), price, price + 1, price - 1, price, Decimal(10)))
    return candles
