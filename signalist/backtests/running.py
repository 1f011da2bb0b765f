"""One backtest from a strategy's source and candles to its result: signals once, in the sandbox; then the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from signalist.clock import monotonic
from signalist.domain.backtest.bars import Bars
from signalist.domain.backtest.kernel import Outcome, trade
from signalist.domain.backtest.metrics import Floats, Metrics, equity, metrics
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.candles import CandleArrays
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.strategies import SignalArrays
from signalist.sandbox import Failed, RanWhole, StrategyProcess

T = TypeVar("T")

SECONDS = 120.0
MEMORY = 2 << 30


class StrategyFailed(Exception):
    """The strategy gave no signals; `failed` says why."""

    def __init__(self, failed: Failed) -> None:
        place = "" if failed.line is None else f" (line {failed.line})"
        super().__init__(f"{failed.message}{place}")
        self.failed = failed


class Stopwatch:
    """Seconds by stage, in the order in which the stages were made."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, stage: str, work: Callable[[], T]) -> T:
        """What `work` returns; how long that took is kept under `stage`."""
        began = monotonic()
        try:
            return work()
        finally:
            self.seconds[stage] = monotonic() - began


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of one: the trades, equity at every bar's close, and the metrics. `signals` are those of every bar."""

    signals: SignalArrays
    outcome: Outcome
    curve: Floats
    metrics: Metrics


def backtested(
    source: str,
    parameters: Mapping[str, object],
    candles: CandleArrays,
    seconds: int,
    terms: BacktestTerms,
    spec: InstrumentSpec,
    watch: Stopwatch | None = None,
    *,
    house: bool = False,
) -> Backtest:
    """Trade the strategy `source` over `candles`, bars of so many `seconds`; `house` is code of our own library.

    Raises StrategyFailed, and DomainError for terms and prices that do not fit the instrument.
    """
    watch = Stopwatch() if watch is None else watch
    signals = whole_signals(source, parameters, candles, watch, house=house)
    bars = watch.timed("bars", lambda: Bars.of(candles, spec, seconds))
    outcome = watch.timed("fills", lambda: trade(bars, signals, terms, spec))
    curve = watch.timed("equity", lambda: equity(outcome))
    return Backtest(signals, outcome, curve, watch.timed("metrics", lambda: metrics(outcome, curve)))


def whole_signals(
    source: str, parameters: Mapping[str, object], candles: CandleArrays, watch: Stopwatch, *, house: bool
) -> SignalArrays:
    """The strategy's signals at every bar, from one call in the sandbox. Raises StrategyFailed."""
    with StrategyProcess(source, parameters, time_limit=SECONDS, memory_limit=MEMORY, house=house) as process:
        manifest = watch.timed("start", process.manifest)
        if isinstance(manifest, Failed):
            raise StrategyFailed(manifest)
        ran = watch.timed("signals", lambda: process.all(candles))
    if not isinstance(ran, RanWhole):
        raise StrategyFailed(ran)
    return ran.signals
