"""Prices of all markets at once: one request to a venue for however many symbols, kept for ten seconds, other sources where it fails.

One at a time asks; whoever comes meanwhile gets the same answer. What the first source does not know, or where it does not answer, the
next is asked for; at the end the `last`, whose prices are old and not counted. Each source's successes are counted: requests that were
answered, and prices that were got of those that were asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from signalist.clock import monotonic
from signalist.logs import logger
from signalist.venues.errors import NoAnswer, VenueError
from signalist.venues.market_data import TellsPrices, Ticker

log = logger(__name__)

KEPT = 10.0
WITHIN = 5.0
"""Seconds that one source may take before the next is asked."""


@dataclass(slots=True)
class Successes:
    """Of one source: requests and those that failed; prices asked for and got; how long the last one took, in milliseconds."""

    requests: int = 0
    failed: int = 0
    asked: int = 0
    got: int = 0
    last_asked: int = 0
    last_got: int = 0
    last_ms: int = 0
    last_error: str = ""

    @property
    def rate(self) -> float | None:
        """The share of prices that were got, of all that were asked for; None before the first."""
        return self.got / self.asked if self.asked else None


@dataclass(frozen=True, slots=True)
class Prices:
    """Tickers by symbol, `of` what source each is, and symbols that nobody knows a price of. `at` is monotonic seconds."""

    tickers: Mapping[str, Ticker]
    of: Mapping[str, str]
    missing: frozenset[str]
    at: float


@dataclass(slots=True)
class BatchPrices:
    """Asks `sources` in their order. They must call the same market by the same symbol."""

    sources: Sequence[TellsPrices]
    last: TellsPrices | None = None
    kept: float = KEPT
    successes: dict[str, Successes] = field(default_factory=dict)
    _last: Prices | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def prices(self, symbols: Sequence[str]) -> Prices:
        """The prices of `symbols`, none older than `kept` seconds. Never raises: what nobody answers for is missing."""
        wanted = frozenset(symbols)
        async with self._asking:
            last = self._last
            if last is None or monotonic() - last.at > self.kept or not wanted <= last.tickers.keys() | last.missing:
                last = self._last = await self._asked(wanted)
        tickers = {symbol: last.tickers[symbol] for symbol in sorted(wanted & last.tickers.keys())}
        return Prices(tickers, {symbol: last.of[symbol] for symbol in tickers}, wanted - tickers.keys(), last.at)

    async def _asked(self, wanted: frozenset[str]) -> Prices:
        tickers: dict[str, Ticker] = {}
        of: dict[str, str] = {}
        for source in self.sources:
            left = wanted - tickers.keys()
            if not left:
                break
            for symbol, ticker in (await self._one(source, left)).items():
                if symbol in left and ticker.last > 0:
                    tickers[symbol], of[symbol] = ticker, source.code
        if self.last is not None and (left := wanted - tickers.keys()):
            for symbol, ticker in (await self.last.tickers(left)).items():
                tickers[symbol], of[symbol] = ticker, self.last.code
        return Prices(tickers, of, wanted - tickers.keys(), monotonic())

    async def _one(self, source: TellsPrices, symbols: frozenset[str]) -> Mapping[str, Ticker]:
        """What one source says, in as few requests as it allows: one where it takes all symbols at once."""
        counts = self.successes.setdefault(source.code, Successes())
        most = source.limits.symbols_at_once or len(symbols)
        listed, found, begun = sorted(symbols), dict[str, Ticker](), monotonic()
        for start in range(0, len(listed), most):
            counts.requests += 1
            try:
                async with asyncio.timeout(WITHIN):
                    found |= await source.tickers(listed[start : start + most])
            except (VenueError, TimeoutError) as error:
                counts.failed += 1
                counts.last_error = str(error) or (error.code if isinstance(error, VenueError) else NoAnswer.code)
                log.warning("batch_prices_failed", source=source.code, error=counts.last_error)
        counts.last_asked, counts.last_got = len(symbols), len(symbols & found.keys())
        counts.asked, counts.got = counts.asked + counts.last_asked, counts.got + counts.last_got
        counts.last_ms = round((monotonic() - begun) * 1000)
        return found
