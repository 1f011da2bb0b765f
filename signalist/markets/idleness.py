"""Which minutes nobody traded in, told of all markets by one request: where a venue counts each market's trades of the day.

Two counts that are the same, one from before a minute began and one from after it was over, say that there was none in it, whatever the
stream has said or not. A market's first two minutes without a trade have no such count before them and are asked of its history.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Container
from datetime import datetime, timedelta

from signalist.clock import Clock, monotonic
from signalist.logs import logger
from signalist.venues.errors import VenueError
from signalist.venues.market_data import MarketData, Tally

log = logger(__name__)

KEPT = 6
"""Counts that are remembered: one a minute at the most but for what fails."""
AGAIN = 2.0
"""Seconds between two requests for the same minute."""
SURE_AFTER = timedelta(seconds=1)
"""A count that was made so long after a minute, by the venue's clock, has its last trades in it."""
LONGEST_WAIT = 2.5


class Idleness:
    """Of one venue's markets."""

    def __init__(self, source: MarketData, clock: Clock) -> None:
        self._source, self._clock = source, clock
        self._tallies: deque[Tally] = deque(maxlen=KEPT)
        self._symbols: set[str] = set()
        self._asked: tuple[datetime, float] | None = None
        self._asking = asyncio.Lock()

    def only(self, symbols: Container[str]) -> None:
        """No other markets are fed any more."""
        self._symbols = {symbol for symbol in self._symbols if symbol in symbols}

    async def knows(self, symbol: str, begin: datetime, close: datetime, waiting: Collection[str]) -> bool:
        """Whether it is certain that nobody traded in `symbol` after `begin` until `close`. `waiting` are other markets of which the same
        will be asked: for one alone nothing is asked here."""
        self._symbols |= {symbol, *waiting}
        async with self._asking:
            if len(waiting) > 1 and not any(tally.earliest >= close + SURE_AFTER for tally in self._tallies):
                await self._ask(close)
        after = next((t for t in self._tallies if t.earliest >= close + SURE_AFTER and symbol in t.counts), None)
        before = next((t for t in reversed(self._tallies) if t.latest <= begin and symbol in t.counts), None)
        if after is None or before is None or before.earliest.date() != after.latest.date():
            return False
        return before.counts[symbol] == after.counts[symbol]

    async def _ask(self, close: datetime) -> None:
        early = (close + SURE_AFTER + timedelta(seconds=1) - self._clock.now()).total_seconds()
        if 0 < early < LONGEST_WAIT:
            await asyncio.sleep(early)  # its time is known to half a second or so
        if self._asked is not None and self._asked[0] == close and monotonic() - self._asked[1] < AGAIN:
            return
        self._asked = close, monotonic()
        try:
            tally = await self._source.tally(sorted(self._symbols))
        except VenueError as error:
            log.warning("trades_not_counted", source=self._source.code, error=str(error) or error.code)
            return
        if tally is not None:
            self._tallies.append(tally)
