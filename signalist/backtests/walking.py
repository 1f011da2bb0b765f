"""Walks a strategy forward over recorded candles, and tells what came of it as plain values (BT-10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from signalist.backtests.running import Stopwatch, whole_signals
from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.results import Values, metric_values, moment
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.backtest.walk_forward import Fold, FoldResult, WalkForward, walk_forward
from signalist.domain.candles import CandleArrays
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.strategies import SignalArrays

Parameters = Mapping[str, object]


def candidates_of(
    source: str, tried: Sequence[Parameters], base: Parameters, candles: CandleArrays, *, house: bool
) -> dict[str, SignalArrays]:
    """The signals of `source` over all candles with each of the values `tried` in the place of those of `base`, by what they are called.

    Raises StrategyFailed.
    """
    found = {}
    for values in tried:
        name = ",".join(f"{key}={value}" for key, value in values.items())
        found[name] = whole_signals(source, {**base, **values}, candles, Stopwatch(), house=house)
    return found


def walked(
    bars: Bars,
    candidates: Mapping[str, SignalArrays],
    terms: BacktestTerms,
    spec: InstrumentSpec,
    stretches: Sequence[Fold],
) -> Values:
    """`walk_forward` as it is printed: each fold's stretches by when they begin and end, what was chosen in it, and both metrics."""
    result: WalkForward = walk_forward(bars, candidates, terms, spec, stretches)
    return {
        "folds": [_fold(bars, one) for one in result.folds],
        "efficiency": result.efficiency,
        "consistency": result.consistency,
    }


def _fold(bars: Bars, one: FoldResult) -> Values:
    fold = one.fold
    return {
        "past_begins": moment(bars.begins(fold.begin)),
        "begins": moment(bars.begins(fold.split)),
        "ends": moment(int(bars.time[fold.end - 1])),
        "chosen": one.chosen,
        "past": asdict(one.past),
        "after": metric_values(one.after, one.outcome),
    }
