"""Keeps a door into the sandbox per strategy version and shows the strategy the candles of its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from signalist.domain.candles import Candle, CandleArrays
from signalist.domain.strategies import StrategyManifest
from signalist.domain.timeframes import Timeframe, timeframe
from signalist.logs import logger
from signalist.markets.selectors import CandleWindow, Shown
from signalist.sandbox.limits import RUN_SECONDS
from signalist.sandbox.outcomes import Failed, FailureKind, Ran, RanWhole
from signalist.sandbox.process import StrategyProcess
from signalist.sandbox.warm import CannotStart, zygote
from signalist.strategies.house import is_house
from signalist.strategies.models import StrategyRun, StrategyVersion

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a strategy answered for a run, and the close of the candle it was shown."""

    outcome: Ran | Failed
    reference: Decimal


def walls_here() -> tuple[str, str]:
    """The level of the walls around strategies on this machine, and why a stranger's code is refused, if it is; blocking."""
    try:
        walls = zygote("lean").walls()
    except CannotStart as reason:
        return "weak", f"No strategy can be run here: {reason}."
    return walls.level, walls.refusal or ""


class StrategyPool:
    """The strategies of one engine."""

    def __init__(self, time_limit: float = RUN_SECONDS) -> None:
        self._time_limit = time_limit
        self._processes: dict[int, StrategyProcess] = {}
        self._windows: dict[int, CandleWindow] = {}

    def window(self, run: StrategyRun) -> CandleWindow:
        """The candles of the run's schedule."""
        schedule = run.schedule
        if schedule.pk not in self._windows:
            frame = timeframe(schedule.timeframe)
            self._windows[schedule.pk] = CandleWindow(schedule.instrument_id, frame, schedule.version.history)
        return self._windows[schedule.pk]

    def saw(self, instrument_id: int, frame: Timeframe, candle: Candle) -> None:
        """Show the windows of an instrument and timeframe the candle that was stored just now."""
        for window in self._windows.values():
            if window.covers(instrument_id, frame):
                window.saw(candle)

    def forget(self) -> None:
        """Read all candles anew: stored ones were corrected."""
        self._windows.clear()

    def answer(self, run: StrategyRun, shown: Shown | None) -> Answer:
        """Run the strategy on what the window showed; blocking, for a thread."""
        if shown is None:
            return Answer(
                Failed(FailureKind.DIED, f"the candle of {run.candle_close:%Y-%m-%d %H:%M} is not stored"), Decimal(0)
            )
        arrays, newest = shown
        try:
            outcome = self._process(run.schedule.version).last(arrays)
        except Exception as error:  # one strategy, whatever it does, is not the end of the engine
            log.exception("strategy_run_broke", run=run.pk)
            outcome = Failed(FailureKind.DIED, f"The run could not be made: {type(error).__name__}.")
        return Answer(outcome, newest.close)

    def would_have_said(self, version: StrategyVersion, arrays: CandleArrays) -> RanWhole | Failed:
        """What the strategy says at every bar of a stretch that was missed; blocking, for a thread."""
        return self._process(version).all(arrays)

    def _process(self, version: StrategyVersion) -> StrategyProcess:
        """The version's door. What it declares is what its row says and the gate has seen: the file is not asked again."""
        if version.pk not in self._processes:
            process = StrategyProcess(
                version.source, version.parameters, time_limit=self._time_limit, house=is_house(version.source)
            )
            process.know(StrategyManifest((), version.parameters, version.history))
            self._processes[version.pk] = process
        return self._processes[version.pk]

    def close(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()
