"""The strategy under examination: its source, its parameters and the candles that it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from signalist.clock import monotonic
from signalist.domain.candles import CandleArrays
from signalist.domain.strategies import SignalArrays, SignalRow, StrategyManifest, bar_name
from signalist.sandbox import Failed, FailureKind, Ran, StrategyProcess
from signalist.sandbox.limits import RUN_SECONDS
from signalist.strategies.gate.values import Broke

# Of one run over all candles; a run at a candle's close has what it has live.
SECONDS = 30.0
# Of all runs of all checks together. A worker that does nothing else meanwhile has to be done before its job's time is over.
BUDGET = 60.0


class Budget:
    """Wall seconds for everything that the gate runs of one version; `now` is a clock that only goes forward, in seconds."""

    def __init__(self, seconds: float = BUDGET, now: Callable[[], float] = monotonic) -> None:
        self.seconds = seconds
        self._now = now
        self._end = now() + seconds

    def left(self) -> float:
        """Seconds that are left; 0 or less once it is used up."""
        return self._end - self._now()


class Tried(StrategyProcess):
    """A strategy's process in the gate: no run goes past the budget, and with none left there is none."""

    def __init__(
        self, budget: Budget, source: str, parameters: Mapping[str, object], *, house: bool, seconds: float
    ) -> None:
        super().__init__(source, parameters, time_limit=seconds, house=house)
        self._budget, self._most = budget, seconds

    def _ready(self) -> StrategyManifest | Failed:
        left = self._budget.left()
        if left <= 0:
            return Failed(
                FailureKind.TIMED_OUT,
                f"All runs of the gate together took more than {self._budget.seconds:g} s: each must be quicker, or look at less.",
            )
        self._seconds = min(self._most, left)
        return super()._ready()


@dataclass(slots=True)
class Subject:
    """`seconds` is the length of a candle. What the first whole run said is kept in `whole`. `promised` is how many candles its version's
    row says that it looks at, None for a file without one."""

    source: str
    parameters: Mapping[str, object]
    candles: CandleArrays
    seconds: int
    house: bool = False
    budget: Budget = field(default_factory=Budget)
    promised: int | None = None
    history: int = 0
    whole: SignalArrays = field(default_factory=lambda: SignalArrays.of(0, {}))

    def started(self, *, kept: bool = False, live: bool = False) -> StrategyProcess:
        """A strategy to run, each time in a fresh process; the caller closes it. `live`: with as much time as it has there.

        `kept` runs it in one process again and again, which is many times faster, as our own library's is: only after a fresh one has
        run, so that this machine holds strangers' code, and only where what a run could remember of those before is no help.
        """
        seconds = RUN_SECONDS if live else SECONDS
        return Tried(self.budget, self.source, self.parameters, house=self.house or kept, seconds=seconds)

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
