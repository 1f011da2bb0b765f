"""The strategy under examination: its source, its parameters and the candles that it is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from signalist.domain.candles import CandleArrays
from signalist.domain.strategies import SignalArrays, SignalRow, StrategyManifest, bar_name
from signalist.sandbox import Failed, Ran, StrategyProcess
from signalist.strategies.gate.values import Broke

SECONDS = 30.0
MEMORY = 1 << 29
OUTPUT = 1 << 20


@dataclass(slots=True)
class Subject:
    """`seconds` is the length of a candle. What the first whole run said is kept in `whole`. `promised` is how many candles its version's
    row says that it looks at, None for a file without one."""

    source: str
    parameters: Mapping[str, object]
    candles: CandleArrays
    seconds: int
    house: bool = False
    promised: int | None = None
    history: int = 0
    whole: SignalArrays = field(default_factory=lambda: SignalArrays.of(0, {}))

    def started(self, *, kept: bool = False) -> StrategyProcess:
        """A strategy to run, each time in a fresh process; the caller closes it.

        `kept` runs it in one process again and again, which is many times faster, as our own library's is: only after a fresh one has
        run, so that this machine holds strangers' code, and only where what a run could remember of those before is no help.
        """
        return StrategyProcess(
            self.source,
            self.parameters,
            time_limit=SECONDS,
            memory_limit=MEMORY,
            output_limit=OUTPUT,
            house=self.house or kept,
        )

    def name_of(self, bar: int) -> str:
        """How a bar is called in the report."""
        return bar_name(bar, int(self.candles.time[bar]))

    def cut(self, begin: int, end: int) -> CandleArrays:
        """The candles from index `begin` to before `end`."""
        return CandleArrays(*(getattr(self.candles, name)[begin:end] for name in CandleArrays.__slots__))


def manifest(process: StrategyProcess) -> StrategyManifest:
    """What the strategy declares. Raises Broke."""
    answer = process.manifest()
    if isinstance(answer, Failed):
        raise Broke(answer)
    return answer


def run_all(process: StrategyProcess, candles: CandleArrays) -> SignalArrays:
    """Its signals over `candles`. Raises Broke."""
    answer = process.all(candles)
    if isinstance(answer, Failed):
        raise Broke(answer)
    return answer.signals


def run_last(process: StrategyProcess, candles: CandleArrays) -> tuple[tuple[SignalRow, ...], float]:
    """Its signals at the newest of `candles`, and how many milliseconds they took. Raises Broke."""
    answer = process.last(candles)
    if not isinstance(answer, Ran):
        raise Broke(answer)
    return answer.rows, answer.duration_ms
