"""What a benchmark of the fan-out was asked, saw and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

POISONS = ("bad_key", "ban", "slow", "empty", "delisted")
"""How the venue may misbehave with a subscriber: see `venues/loopback/faults.py`. A slow one takes 30 s, a banned one is for as long."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. `poison` is the share of subscribers with whom the venue misbehaves in every other run, 0 for none, in one of the
    ways of `kinds` each; `engines` is how many processes share the accounts."""

    subscribers: int
    latency_ms: float
    legs: int
    runs: int
    poison: float
    bare: bool = True
    engines: int = 1
    kinds: tuple[str, ...] = POISONS

    @property
    def sound(self) -> int:
        """How many subscribers are not poisoned where some are."""
        every = max(round(1 / self.poison), 1) if self.poison else 0
        return self.subscribers - (self.subscribers // every if every else 0)


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Times in seconds from the candle's close, over the subscribers that were not poisoned. `placed`: of their last order."""

    entries: Sequence[float]
    covered: Sequence[float]
    placed: float
    settled: float
    cpu: float
    venue_cpu: float
    rows: int
    queries: int
    duplicates: int
    unprotected: int

    def quantile(self, fraction: float) -> float:
        """The entry time that this fraction of the subscribers does not exceed."""
        return quantile(self.entries, fraction)


def quantile(sorted_values: Sequence[float], fraction: float) -> float:
    """The smallest value that at least this fraction of `sorted_values` does not exceed; 0 where there is none."""
    if not sorted_values:
        return 0.0
    return sorted_values[max(-(-len(sorted_values) * round(fraction * 1000) // 1000) - 1, 0)]


def report(plan: Plan, clean: Sequence[Run], poisoned: Sequence[Run], alone: Sequence[float]) -> dict[str, object]:
    """The JSON object of `manage.py bench_fanout`: medians over the runs, but the worst of what must be zero."""

    def middle(of: Callable[[Run], float]) -> float:
        return round(median(of(run) for run in clean), 4)

    told: dict[str, object] = {
        "subscribers": plan.subscribers,
        "engines": plan.engines,
        "entry_p50_s": middle(lambda run: run.quantile(0.5)),
        "entry_p99_s": middle(lambda run: run.quantile(0.99)),
        "entry_last_s": middle(lambda run: run.quantile(1.0)),
        "protected_last_s": middle(lambda run: quantile(run.covered, 1.0)),
        "placed_last_s": middle(lambda run: run.placed),
        "settled_s": middle(lambda run: run.settled),
        "cpu_s": middle(lambda run: run.cpu),
        "venue_cpu_s": middle(lambda run: run.venue_cpu),
        "rows": round(median(run.rows for run in clean)),
        "queries": round(median(run.queries for run in clean)),
        "duplicates": max(run.duplicates for run in (*clean, *poisoned)),
        "unprotected": max(run.unprotected for run in (*clean, *poisoned)),
        "missing": max(plan.subscribers - _served(plan, run) for run in clean),
    }
    if alone:
        bare = median(alone)
        told["bare_client_s"] = round(bare, 4)
        # Who serves only some is not to be compared with who serves all. Both have placed every order then, targets too.
        told["ratio"] = None if told["missing"] else round(float(str(told["placed_last_s"])) / bare, 2)
    if poisoned:
        p99 = median(run.quantile(0.99) for run in poisoned)
        safe = median(quantile(run.covered, 1.0) for run in poisoned)
        told |= {"poison": plan.poison, "poison_kinds": list(plan.kinds), "poisoned_entry_p99_s": round(p99, 4)}
        told |= {"poisoned_protected_last_s": round(safe, 4)}
        told |= {"poisoned_missing": max(plan.sound - _served(plan, run) for run in poisoned)}
        told |= {"poison_ratio": round(p99 / max(float(str(told["entry_p99_s"])), 0.001), 2)}
    return told


def _served(plan: Plan, run: Run) -> int:
    """How many are in, with what protects them where the plan has that."""
    return len(run.covered if plan.legs > 1 else run.entries)
