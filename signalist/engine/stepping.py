"""Takes the whole pipeline from close to close at full speed, with market time standing still in between.

At every close the venue's market comes first (what rested is filled), then the candles are stored, then the market goes on to the
price that orders sent now will meet, then the engine works until it is quiet. Once a candle is stored its venue side is done, so what
was killed goes on from what is stored. Whence the candles come is the business of whoever steps: a recording, the synthetic market.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.accounts.sessions import Sessions
from signalist.clock import ReplayClock
from signalist.db.wakes import wakes
from signalist.domain.candles import Candle
from signalist.domain.matching import Bar
from signalist.domain.timeframes import Timeframe
from signalist.engine.database import DatabaseInline
from signalist.engine.loop import Engine
from signalist.engine.strategies import StrategyPool
from signalist.engine.venues import PublicMarket, paper_exchange
from signalist.failpoints import failpoint
from signalist.markets import feeds
from signalist.markets.models import Instrument
from signalist.venues.paper.exchange import PaperExchange, SymbolBar
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.paper.venue import PAPER, PaperVenue


@dataclass(frozen=True, slots=True)
class Bars:
    """The candles of an instrument that close at one moment, the shortest first, and the price at which its market goes on."""

    instrument: Instrument
    candles: Sequence[tuple[Timeframe, Candle]]
    goes_on: Decimal


class Stepper:
    """An engine with a market of its own making; `begin` is where market time starts."""

    def __init__(self, begin: datetime, terms: Terms, progress: Callable[[str], None]) -> None:
        self.clock = ReplayClock(begin)
        self.database = DatabaseInline()
        self.market = PublicMarket()
        self.exchange: PaperExchange = paper_exchange(self.market, self.clock, self.database, terms, sole=True)
        self.unprotected = 0
        self._strategies = StrategyPool()
        self.engine = Engine(Sessions({PAPER: PaperVenue(self.exchange)}), self.clock, self.database, self._strategies)
        self._progress = progress

    async def start(self, after: Sequence[Bars] = ()) -> None:
        """Take up work. `after`: the last bars that an earlier run stored, which is finished first. Raises AnotherEngine."""
        if after:
            self.clock.advance_to(after[0].candles[0][1].close_time)
            await self._go_on(after)
        await self.engine.start(alone=True, clock="replay")
        if after:
            await self._work()

    async def step(self, bars: Sequence[Bars]) -> None:
        """Go to the moment at which `bars` close, and do everything that this sets off."""
        close = bars[0].candles[0][1].close_time
        self.clock.advance_to(close)
        await self.exchange.on_bars([_move(one) for one in bars])
        failpoint("replay.venue_done")
        closed = [feeds.ClosedCandle(b.instrument.pk, frame, candle) for b in bars for frame, candle in b.candles]
        prices = [feeds.Price(b.instrument.pk, b.goes_on, close) for b in bars]
        await self.database(lambda: feeds.take_candles(closed, prices))
        for one in closed:
            self._strategies.saw(one.instrument_id, one.frame, one.candle)
        await self._go_on(bars)
        await self._work()

    async def stop(self) -> None:
        """Stop in good order."""
        await self.engine.stop()
        wakes.clear()

    async def _go_on(self, bars: Sequence[Bars]) -> None:
        """Let the market move to where it opens next: fills what is left of market orders, and gaps through stops."""
        now, ticks = self.clock.now(), []
        for one in bars:
            self.market.set_price(one.instrument.symbol, one.goes_on)
            ticks.append(SymbolBar(one.instrument.symbol, Bar.tick(one.goes_on), now, now))
        await self.exchange.on_bars(ticks)

    async def _work(self) -> None:
        """Everything that a close sets off, until nothing is left to do; then the venue's book is looked at."""
        await self.engine.drain()
        if await self.engine.run_due():
            await self.engine.drain()
        if self.exchange.changed:
            self.exchange.changed = False
            bare = await self.exchange.unprotected()
            self.unprotected += len(bare)
            for ref, symbol in bare:
                self._progress(f"unprotected at {self.clock.now():%Y-%m-%d %H:%M:%S}: {ref} {symbol}")


def _move(bars: Bars) -> SymbolBar:
    """What the venue's matcher is shown: the shortest candle, which knows best what came after what."""
    frame, candle = bars.candles[0]
    begin = candle.close_time - frame.length
    return SymbolBar(bars.instrument.symbol, Bar(candle.open, candle.high, candle.low), begin, candle.close_time)
