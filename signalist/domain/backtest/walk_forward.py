"""Walk-forward: what was best in the past is traded in the stretch after it, again and again (BT-10).

Signals have no look-ahead and are the same whatever follows, so each candidate's are computed once over all bars and cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.kernel import Outcome, trade
from signalist.domain.backtest.metrics import Metrics, metrics
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.strategies import SignalArrays


@dataclass(frozen=True, slots=True)
class Fold:
    """Bars [`begin`, `split`) are the past that a candidate is chosen by; [`split`, `end`) are traded with it."""

    begin: int
    split: int
    end: int


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What was chosen in a fold, how it did in the past and how after it. Each stretch begins with the whole capital."""

    fold: Fold
    chosen: str
    past: Metrics
    after: Metrics
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class WalkForward:
    """The folds, oldest first. `efficiency`: the mean return per bar after the split ÷ that before it; None where the past earned
    nothing. `consistency`: the share of folds that earned after the split."""

    folds: tuple[FoldResult, ...]
    efficiency: float | None
    consistency: float


def folds(bars: int, count: int, *, past: int = 2, anchored: bool = False) -> tuple[Fold, ...]:
    """`count` folds over `bars` bars: stretches of one length follow each other, each traded after the `past` stretches before it, or,
    `anchored`, after all of them. Bars that do not fill a stretch are left out at the beginning. Raises DomainError where there are
    too few.
    """
    if count < 1 or past < 1:
        raise DomainError(f"A walk forward has one fold or more and a past, not {count} and {past}.")
    length = bars // (count + past)
    if length < 2:
        raise DomainError(f"{bars} bars are too few for {count} folds after a past of {past}.")
    first = bars - length * (count + past)
    found = []
    for number in range(count):
        split = first + (past + number) * length
        found.append(Fold(first if anchored else split - past * length, split, split + length))
    return tuple(found)


def walk_forward(
    bars: Bars,
    candidates: Mapping[str, SignalArrays],
    terms: BacktestTerms,
    spec: InstrumentSpec,
    stretches: Sequence[Fold],
) -> WalkForward:
    """In each fold trade the candidate that had the highest net result in its past (of equals the first).

    `candidates` are signals over all of `bars` by name: one set of parameter values each. What is open where a stretch ends is closed
    there, and an entry that is known at its last bar is not traded. Raises DomainError without candidates or folds.
    """
    if not candidates or not stretches:
        raise DomainError("A walk forward needs a candidate and a fold.")
    results = []
    for fold in stretches:
        past = {
            name: metrics(traded(bars, signals, terms, spec, fold.begin, fold.split))
            for name, signals in candidates.items()
        }
        chosen = max(past, key=lambda name: past[name].net_pnl)
        outcome = traded(bars, candidates[chosen], terms, spec, fold.split, fold.end)
        results.append(FoldResult(fold, chosen, past[chosen], metrics(outcome), outcome))
    return WalkForward(tuple(results), _efficiency(results), _consistency(results))


def traded(
    bars: Bars, signals: SignalArrays, terms: BacktestTerms, spec: InstrumentSpec, begin: int, end: int
) -> Outcome:
    """The bars [`begin`, `end`) traded by themselves."""
    return trade(bars.cut(begin, end), signals.cut(begin, end), terms, spec)


def _efficiency(results: Sequence[FoldResult]) -> float | None:
    before = sum(result.past.total_return / result.past.bars for result in results)
    after = sum(result.after.total_return / result.after.bars for result in results)
    return after / before if before > 0 else None


def _consistency(results: Sequence[FoldResult]) -> float:
    return sum(result.after.net_pnl > 0 for result in results) / len(results)
