"""Replays recorded candles through the whole pipeline on the paper venue, at full speed, with market time as the clock.

For every candle the venue's market comes first (what rested is filled), then the candle is stored, then the next candle's open is
the price that orders sent now will meet, then the engine works until it is quiet. Once a candle is stored its venue side is
done, so a replay that was killed goes on where it stopped when it is started again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from signalist.accounts.sessions import Sessions
from signalist.clock import ReplayClock, monotonic
from signalist.db.wakes import wakes
from signalist.domain.candles import Candle
from signalist.domain.matching import Bar
from signalist.engine.loop import DatabaseInline, Engine
from signalist.engine.replay_cast import Cast, Plan, set_up, twin_candle
from signalist.engine.replay_report import Observed, report
from signalist.engine.strategies import StrategyPool
from signalist.engine.venues import PublicMarket, paper_exchange
from signalist.failpoints import failpoint
from signalist.markets import feeds
from signalist.markets.models import Candle as CandleRow
from signalist.venues.paper.exchange import PaperExchange, SymbolBar
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.paper.venue import PAPER, PaperVenue

HEARTBEAT_EVERY = 500


class Replay:
    """A replay in progress."""

    def __init__(self, plan: Plan, candles: Sequence[Candle], progress: Callable[[str], None]) -> None:
        self._plan, self._candles, self._progress = plan, candles, progress
        self._clock = ReplayClock(candles[0].close_time - plan.frame.length)
        self._database = DatabaseInline()
        self._market = PublicMarket()
        self._exchange: PaperExchange = paper_exchange(
            self._market, self._clock, self._database, Terms(seed=plan.seed), sole=True
        )
        sessions = Sessions({PAPER: PaperVenue(self._exchange)})
        self._strategies = StrategyPool()
        self._engine = Engine(sessions, self._clock, self._database, self._strategies)
        self._unprotected = 0
        self._twins: dict[int, Candle] = {}

    async def run(self) -> dict[str, object]:
        """Replay everything and report. Raises ReplayError before anything has begun."""
        try:
            cast: Cast = await self._database(lambda: set_up(self._plan, self._candles))
            await self._database(self._market.refresh)
            done = await self._resume(cast)
            begun = monotonic()
            for index in range(done, len(self._candles)):
                await self._step(cast, index)
                if index % HEARTBEAT_EVERY == 0:
                    await self._engine.heartbeat()
                    self._tell(index, begun, done)
            seconds = monotonic() - begun
            audit = await self._exchange.audit()
            observed = Observed(audit.duplicates, self._unprotected, seconds, len(self._candles) - done)
            result: dict[str, object] = await self._database(lambda: report(cast, observed))
            return result
        finally:
            await self._engine.stop()
            wakes.clear()

    async def _resume(self, cast: Cast) -> int:
        """Take up where an earlier run stopped: the number of candles that are stored already. Their last one is finished first."""
        done = await self._database(lambda: self._stored(cast))
        if done:
            self._clock.advance_to(self._candles[done - 1].close_time)
            self._progress(f"going on after {self._candles[done - 1].close_time:%Y-%m-%d %H:%M}")
            await self._go_on(cast, done - 1)
        await self._engine.start(alone=True)
        if done:
            await self._work()
        return done

    def _stored(self, cast: Cast) -> int:
        newest = (
            CandleRow.objects.filter(instrument=cast.recorded, timeframe=self._plan.frame.code)
            .order_by("-close_time")
            .first()
        )
        if newest is None:
            return 0
        return sum(1 for candle in self._candles if candle.close_time <= newest.close_time)

    async def _step(self, cast: Cast, index: int) -> None:
        candle, twin = self._candles[index], self._twin(cast, index)
        self._clock.advance_to(candle.close_time)
        begin = candle.close_time - self._plan.frame.length
        moves = [
            SymbolBar(symbol, Bar(c.open, c.high, c.low), begin, candle.close_time)
            for symbol, c in ((cast.recorded.symbol, candle), (cast.twin.symbol, twin))
        ]
        await self._exchange.on_bars(moves)
        failpoint("replay.venue_done")
        closed = [
            feeds.ClosedCandle(cast.recorded.pk, self._plan.frame, candle),
            feeds.ClosedCandle(cast.twin.pk, self._plan.frame, twin),
        ]
        prices = self._prices(cast, index)
        await self._database(lambda: feeds.take_candles(closed, prices))
        self._strategies.saw(cast.recorded.pk, self._plan.frame, candle)
        await self._go_on(cast, index)
        await self._work()

    async def _go_on(self, cast: Cast, index: int) -> None:
        """Let the market move to where it opens next: fills what is left of market orders, and gaps through stops."""
        ticks = []
        for instrument, price in zip((cast.recorded, cast.twin), self._prices(cast, index), strict=True):
            self._market.set_price(instrument.symbol, price.price)
            ticks.append(SymbolBar(instrument.symbol, Bar.tick(price.price), price.at, price.at))
        await self._exchange.on_bars(ticks)

    async def _work(self) -> None:
        """Everything that a close sets off, until nothing is left to do; then the venue's book is looked at."""
        await self._engine.drain()
        if await self._engine.run_due():
            await self._engine.drain()
        if self._exchange.changed:
            self._exchange.changed = False
            bare = await self._exchange.unprotected()
            self._unprotected += len(bare)
            for ref, symbol in bare:
                self._progress(f"unprotected at {self._clock.now():%Y-%m-%d %H:%M}: {ref} {symbol}")

    def _prices(self, cast: Cast, index: int) -> list[feeds.Price]:
        """The price at which the market goes on: the next candle's open where it follows without a gap, else this close."""
        now = self._candles[index].close_time
        follows = (
            index + 1 < len(self._candles) and self._candles[index + 1].close_time == now + self._plan.frame.length
        )
        if follows:
            recorded, twin = self._candles[index + 1].open, self._twin(cast, index + 1).open
        else:
            recorded, twin = self._candles[index].close, self._twin(cast, index).close
        return [feeds.Price(cast.recorded.pk, recorded, now), feeds.Price(cast.twin.pk, twin, now)]

    def _twin(self, cast: Cast, index: int) -> Candle:
        if index not in self._twins:
            self._twins = {key: value for key, value in self._twins.items() if key >= index - 1}
            self._twins[index] = twin_candle(self._candles[index], cast.twin.tick, self._plan.seed)
        return self._twins[index]

    def _tell(self, index: int, begun: float, done: int) -> None:
        seconds = monotonic() - begun
        speed = (index - done + 1) / seconds if seconds else 0.0
        self._progress(
            f"{self._candles[index].close_time:%Y-%m-%d %H:%M}  {index + 1}/{len(self._candles)}  {speed:.0f} candles/s"
        )
