"""Which candles of the past a feed asks its venue for: those before a market begins, those that were missed, and higher ones that could not
be made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any

from signalist.clock import Clock
from signalist.domain.timeframes import Timeframe, timeframe
from signalist.markets import candle_gaps, feed_books
from signalist.markets.filling import Filler, Hole
from signalist.markets.wanted import BASE
from signalist.markets.watching import Market
from signalist.venues.market_data import MarketData

Frames = Mapping[str, AbstractSet[str]]
"""Codes of the timeframes that strategies run on, by symbol."""

HIGHER_AFTER = timedelta(seconds=5)
"""So long after a boundary a higher candle must have been made of its parts; then its venue is asked for it."""
PAST = 300
"""Candles of the past that a market begins with, unless staff has said another number."""
REACH = 1_440
"""Candles of the past that are looked through for holes when a feed begins, at most."""


class Past:
    """What is wanted of `filler`. `markets` are those that are fed, by symbol; `database` runs plain functions in the engine's thread."""

    def __init__(
        self,
        source: MarketData,
        filler: Filler,
        markets: Mapping[str, Market],
        clock: Clock,
        database: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self.bars = PAST
        self._source, self._filler, self._markets = source, filler, markets
        self._clock, self._database = clock, database
        self._checked: dict[tuple[str, str], datetime] = {}

    def forget(self) -> None:
        """Another engine feeds from now on."""
        self._checked.clear()

    def begin_series(self, market: Market, newest: datetime | None, now: datetime) -> None:
        """Go on behind what is stored; where nothing is, or it is long ago, ask for some of the past and go on from here."""
        here = BASE.last_close(now)
        begins = here - BASE.length * self.bars
        if newest is None or newest < begins:
            self._filler.want(Hole(market.symbol, BASE, begins, here, past=True))
            newest = here
        market.series.stored(newest)

    async def want_left_open(self, now: datetime) -> None:
        """Holes that were left open before, by this process or an earlier one, as far back as the venue may still know."""
        since = BASE.last_close(now) - BASE.length * min(self._source.limits.reach or REACH, REACH)
        keys = [key for market in self._markets.values() for key in market.instrument_ids]
        holes = await self._database(lambda: candle_gaps.gaps(keys, BASE, since))
        for market in self._markets.values():
            for first, last in sorted({hole for key in market.instrument_ids for hole in holes.get(key, ())}):
                self._filler.want(Hole(market.symbol, BASE, first, last))

    def want_higher(self, frames: Frames, now: datetime) -> None:
        """The past of the timeframes that strategies run on, of those that the venue keeps."""
        for symbol, codes in frames.items():
            for code in sorted(codes & self._source.limits.frames - {BASE.code}):
                if symbol in self._markets and (symbol, code) not in self._checked:
                    frame = timeframe(code)
                    here = frame.last_close(now)
                    self._filler.want(Hole(symbol, frame, here - frame.length * self.bars, here, past=True))
                    self._checked[symbol, code] = here

    async def look_higher(self, frames: Frames) -> None:
        """Ask the venue for higher candles that strategies wait for and that could not be made, because a part of them is missing."""
        now = self._clock.now()
        due: dict[tuple[int, str, datetime], tuple[str, Timeframe]] = {}
        for symbol, codes in frames.items():
            for code in codes - {BASE.code}:
                frame = timeframe(code)
                close = frame.last_close(now - HIGHER_AFTER)
                if symbol in self._markets and self._checked.setdefault((symbol, code), close) < close:
                    due[self._markets[symbol].instrument_ids[0], code, close] = symbol, frame
        if not due:
            return
        absent = await self._database(lambda: feed_books.absent(due.keys()))
        for key, (symbol, frame) in due.items():
            first = self._checked[symbol, frame.code] + frame.length
            self._checked[symbol, frame.code] = key[2]
            if key in absent and frame.code in self._source.limits.frames:
                self._filler.want(Hole(symbol, frame, first, key[2]))
