"""Kraken's public side over REST: instruments, prices of all pairs in one request, closed candles and depth."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar

from signalist.domain.candles import Candle
from signalist.domain.errors import DomainError
from signalist.domain.timeframes import Timeframe
from signalist.venues.errors import NoAnswer, Refused
from signalist.venues.kraken import parse
from signalist.venues.kraken.client import Client
from signalist.venues.public import Depth, Hears, Listed, MarketStream, Quote, Traded, Trading

T = TypeVar("T")
DEEPEST = 500


class KrakenMarket:
    """See `signalist.venues.public.MarketData`."""

    code = parse.KRAKEN
    frames = frozenset(parse.INTERVALS)
    longest_history = parse.LONGEST_HISTORY

    def __init__(self, client: Client, open_stream: Callable[[Hears], MarketStream] | None = None) -> None:
        self.client = client
        self._open_stream = open_stream

    async def instruments(self) -> tuple[Listed, ...]:
        return tuple(pair.listed for pair in (await self.client.pairs()).all)

    async def quotes(self, symbols: Collection[str] = ()) -> tuple[Quote, ...]:
        known = await self.client.pairs()
        names = {pair.symbol: pair.altname for pair in known.all}
        wanted = [names[symbol] for symbol in symbols if symbol in names]
        if symbols and not wanted:
            return ()
        said = await self.client.public("Ticker", {"pair": ",".join(wanted)} if wanted else None)
        return _read(lambda: parse.quotes(said, known))

    async def candles(self, symbol: str, frame: Timeframe, since: datetime | None = None) -> tuple[Candle, ...]:
        """See the protocol. Kraken's `since` is the opening of the candle before the first that is wanted."""
        if frame not in parse.INTERVALS:
            raise Refused(f"Kraken has no candles of {frame.code}.")
        query: dict[str, object] = {"pair": await self._altname(symbol), "interval": parse.INTERVALS[frame]}
        if since is not None:
            query["since"] = int(since.timestamp()) - frame.seconds
        said = await self.client.public("OHLC", query)
        now = self.client.venue_time(self.client.clock.now())
        found = _read(lambda: parse.candles(said, frame, now))
        return tuple(candle for candle in found if since is None or candle.close_time > since)

    async def depth(self, symbol: str, levels: int) -> Depth:
        query = {"pair": await self._altname(symbol), "count": min(max(levels, 1), DEEPEST)}
        said = await self.client.public("Depth", query)
        return _read(lambda: parse.depth(said, symbol))

    async def trades(self, symbol: str) -> tuple[Traded, ...]:
        """The market's latest trades, oldest first."""
        said = await self.client.public("Trades", {"pair": await self._altname(symbol)})
        return _read(lambda: parse.trades(said, symbol))

    async def trading(self) -> Trading:
        said = await self.client.public("SystemStatus")
        return _read(lambda: parse.trading(str(said["status"])))

    def stream(self, hears: Hears) -> MarketStream:
        if self._open_stream is None:
            raise Refused("This market is asked over REST only.")
        return self._open_stream(hears)

    async def close(self) -> None:
        await self.client.close()

    async def _altname(self, symbol: str) -> str:
        return (await self.client.pairs()).pair(symbol).altname


def _read(parsed: Callable[[], T]) -> T:
    """An answer, read. Raises NoAnswer for one that is none of the protocol."""
    try:
        return parsed()
    except (ValueError, KeyError, TypeError, IndexError, DomainError) as error:
        raise NoAnswer(f"The venue's answer was none of its protocol ({type(error).__name__}).") from error
