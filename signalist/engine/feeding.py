"""Feeds recorded candles into the running product, so many times faster than they were recorded.

The prices inside a candle go from its open over both extremes to its close. At a close market time waits for the engine to finish what
the candle sets off; so nothing is late for it, however fast the recording runs, and a machine that cannot keep up plays slower.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from signalist.accounts.paper_store import PaperStore
from signalist.clock import SystemClock, monotonic
from signalist.domain.candles import Candle
from signalist.domain.money import nearest_to
from signalist.domain.orders import OrderStatus
from signalist.domain.timeframes import Timeframe
from signalist.engine.recorded import Recorded
from signalist.engine.replay_cast import Cast, Plan, ReplayError
from signalist.engine.replay_report import Observed, report
from signalist.engine.stepping import Bars
from signalist.execution.engines import living_engines
from signalist.markets import feeds
from signalist.markets.models import LatestPrice
from signalist.strategies.models import RunStatus, Signal, StrategyRun
from signalist.trading.models import Execution, ExecutionStatus, Order, Position, Trade
from signalist.venues.paper.book import duplicates
from signalist.venues.paper.venue import PAPER
from tenants.doors import across_tenants

TICK_EVERY = 0.25
"""Real seconds between two prices."""
LOOK_EVERY = 0.02
WAIT_FOR_RUN, WAIT_FOR_REST = 10.0, 3.0
"""Real seconds that market time waits for the strategy to have run, and for what that sets off: an entry may wait for the market."""
QUIET_LOOKS = 3
TELL_EVERY = 60


def check_engines() -> None:
    """Raise ReplayError unless every engine that runs takes its time from the market, and one does run."""
    engines = living_engines(SystemClock())
    by_system = [engine for engine in engines if engine.clock != "market"]
    if by_system:
        raise ReplayError(
            f"An engine on the system's clock runs on this database (process {by_system[0].pid}), to which a recording is long past; "
            "stop it and start `manage.py up --market recorded`."
        )
    if not engines:
        raise ReplayError("No engine runs on this database; start `manage.py up --market recorded` first.")


class Feeding:
    """A recording on its way into the product, at `speed` times its own."""

    def __init__(
        self, plan: Plan, candles: Sequence[Candle], cast: Cast, speed: float, progress: Callable[[str], None]
    ) -> None:
        self._plan, self._candles, self._cast = plan, candles, cast
        self._speed, self._progress = speed, progress
        self._recorded = Recorded(plan, candles, cast)

    def run(self) -> dict[str, object]:
        """Feed everything that is not stored yet, and report. Raises ReplayError where it cannot begin or go on."""
        with across_tenants("replay"):
            check_engines()
            done = self._recorded.stored()
            self._check_time(done)
            begun = monotonic()
            for index in range(done, len(self._candles)):
                self._candle(index)
                if (index - done) % TELL_EVERY == 0:
                    self._tell(index, done, begun)
            return report(self._cast, self._observed(monotonic() - begun, len(self._candles) - done))

    def _check_time(self, done: int) -> None:
        """Market time never goes back: a database that has seen later prices cannot be fed earlier ones."""
        latest = LatestPrice.objects.filter(instrument__venue=PAPER).order_by("-at").first()
        if done < len(self._candles) and latest is not None and latest.at >= self._candles[done].close_time:
            raise ReplayError(
                f"This database holds prices of {latest.at:%Y-%m-%d %H:%M}, later than the recording; name another one in DATABASE_URL."
            )

    def _candle(self, index: int) -> None:
        """The prices of one candle at their pace, then its close, and then what the engine makes of it."""
        bars = self._recorded.bars(index)
        length = self._plan.frame.seconds / self._speed
        due, begins = monotonic(), bars[0].candles[0][1].close_time - self._plan.frame.length
        ways = [list(_ticks(one, _steps(length))) for one in bars]
        for number, prices in enumerate(zip(*ways, strict=True), 1):
            at = begins + self._plan.frame.length * number / len(ways[0])
            _sleep_until(due + length * number / len(ways[0]))
            if number < len(ways[0]):
                feeds.take_prices(
                    [feeds.Price(one.instrument.pk, price, at) for one, price in zip(bars, prices, strict=True)]
                )
        self._close(bars, self._plan.frame)
        self._wait(bars[0].candles[0][1].close_time)

    def _close(self, bars: Sequence[Bars], frame: Timeframe) -> None:
        close = bars[0].candles[0][1].close_time
        feeds.take_candles(
            [feeds.ClosedCandle(one.instrument.pk, frame, one.candles[0][1]) for one in bars],
            [feeds.Price(one.instrument.pk, one.goes_on, close) for one in bars],
        )

    def _wait(self, close: datetime) -> None:
        """Hold market time until the engine is done with the candle."""
        deadline = monotonic() + WAIT_FOR_RUN
        while not self._has_run(close):
            if monotonic() > deadline:
                check_engines()
                raise ReplayError(
                    f"The engine does not run the strategy on the candle of {close:%Y-%m-%d %H:%M}; see its log."
                )
            time.sleep(LOOK_EVERY)
        deadline, quiet = monotonic() + WAIT_FOR_REST, 0
        while quiet < QUIET_LOOKS and monotonic() < deadline:
            # What the venue has filled and the engine has not read yet is in no row of ours: hence more than one look.
            quiet = 0 if _unfinished() else quiet + 1
            time.sleep(LOOK_EVERY)

    def _has_run(self, close: datetime) -> bool:
        runs = StrategyRun.objects.filter(schedule=self._cast.schedule, candle_close=close)
        return runs.exclude(status=RunStatus.CLAIMED).exists()

    def _observed(self, seconds: float, candles: int) -> Observed:
        """What the venue's book says. Whether a stop was missing for a moment, only a replay at full speed can tell."""
        return Observed(duplicates(PaperStore()), 0, seconds, candles)

    def _tell(self, index: int, done: int, begun: float) -> None:
        seconds = monotonic() - begun
        speed = (index - done + 1) * self._plan.frame.seconds / seconds if seconds else 0.0
        self._progress(
            f"{self._candles[index].close_time:%Y-%m-%d %H:%M}  {index + 1}/{len(self._candles)}  {speed:.0f} times real time"
        )


def _unfinished() -> bool:
    """Whether a stage has something in hand or waiting."""
    unsent = [OrderStatus.CREATED.value, OrderStatus.SENDING.value]
    return (
        Signal.objects.filter(fanned_out_at__isnull=True).exists()
        or Execution.objects.filter(status=ExecutionStatus.PENDING).exists()
        or Order.objects.filter(Q(status__in=unsent) | Q(busy=True)).exists()
        or Position.objects.filter(protection_due=True).exists()
        or Trade.objects.filter(measured=False).exists()
    )


def _steps(length: float) -> int:
    """How many prices a candle of `length` real seconds is told in: a multiple of three, so that both extremes are among them."""
    return 3 * max(1, min(int(length / TICK_EVERY / 3), 80))


def _ticks(bars: Bars, steps: int) -> Iterator[Decimal]:
    """Prices on the straight way from open to close over both extremes, the nearer one of a rising candle being its low."""
    candle, tick = bars.candles[0][1], bars.instrument.tick
    extremes = (candle.low, candle.high) if candle.close >= candle.open else (candle.high, candle.low)
    corners = (candle.open, *extremes, candle.close)
    legs = len(corners) - 1
    for step in range(1, steps + 1):
        leg, part = divmod(step * legs, steps)
        begin, end = corners[leg], corners[min(leg + 1, legs)]
        yield max(nearest_to(begin + (end - begin) * part / steps, tick), tick)


def _sleep_until(due: float) -> None:
    time.sleep(max(0.0, due - monotonic()))
