"""Kraken's public side: instruments, prices of all pairs in one request, closed candles, and the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentSpec, Trading
from signalist.domain.timeframes import Timeframe
from signalist.venues.errors import NoAnswer, Refused
from signalist.venues.kraken import parse, protocol
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.streams import USUAL, PublicStream
from signalist.venues.kraken.symbols import Pairs
from signalist.venues.market_data import BookSnapshot, HistoryPage, MarketLimits, Message, Subscription, Tally, Ticker
from signalist.venues.transport.sockets import LinkTerms

T = TypeVar("T")
DEEPEST = 500
LIMITS = MarketLimits(
    frames=frozenset(frame.code for frame in parse.INTERVALS),
    page=parse.LONGEST_HISTORY,
    reach=parse.LONGEST_HISTORY,
    pause=1.0,
    symbols_at_once=None,
    silence=10.0,
    per_connection=None,
    histories=3,
    tells_time=True,
    tells_markets=True,
)


class KrakenMarket:
    """See `signalist.venues.market_data.MarketData`. `stream_at` is where the stream is."""

    code = parse.KRAKEN
    limits = LIMITS

    def __init__(self, client: Client, stream_at: str = protocol.PUBLIC_STREAM, terms: LinkTerms = USUAL) -> None:
        self.client, self.stream_at, self._terms = client, stream_at, terms

    async def instruments(self) -> tuple[InstrumentSpec, ...]:
        return tuple(pair.spec for pair in (await self.client.pairs_now()).all)

    async def tickers(self, symbols: Collection[str] | None = None) -> Mapping[str, Ticker]:
        try:
            return await self._tickers(symbols, await self.client.pairs())
        except Refused:
            if symbols is None:
                raise
            # One market that is gone since the list was heard has the whole request refused.
            return await self._tickers(symbols, await self.client.pairs_now())

    async def _tickers(self, symbols: Collection[str] | None, known: Pairs) -> Mapping[str, Ticker]:
        altnames = {pair.symbol: pair.altname for pair in known.all}
        wanted = None if symbols is None else [altnames[symbol] for symbol in symbols if symbol in altnames]
        if wanted is not None and not wanted:
            return {}
        said = await self.client.public("Ticker", None if wanted is None else {"pair": ",".join(wanted)})
        return _read(lambda: parse.tickers(said, known))

    async def tally(self, symbols: Collection[str]) -> Tally | None:
        """See the protocol."""
        known = await self.client.pairs()
        altnames = [pair.altname for pair in known.all if pair.symbol in symbols]
        if not altnames:
            return None
        asked = self.client.clock.now()
        said = await self.client.public("Ticker", {"pair": ",".join(altnames)})
        counts = _read(lambda: parse.counts(said, known))
        earliest = self.client.venue_time_at_least(asked)
        return Tally(counts, earliest, self.client.venue_time_at_most(self.client.clock.now()))

    async def history(self, symbol: str, frame: Timeframe, since: datetime, until: datetime) -> HistoryPage:
        """See the protocol. Kraken has the newest 720 candles only, whatever it is asked for; what is older is missing from the page."""
        if frame not in parse.INTERVALS:
            raise Refused(f"Kraken has no candles of {frame.code}.")
        pair = (await self.client.pairs()).pair(symbol)
        # The first whole candle after `since` opens at `since` or later; Kraken's own `since` may leave out the one that opens there.
        begin = int(since.timestamp()) - frame.seconds
        query = {"pair": pair.altname, "interval": parse.INTERVALS[frame], "since": begin}
        asked = self.client.clock.now()
        said = await self.client.public("OHLC", query)
        found = _read(lambda: parse.history(said, frame, self.client.venue_time_at_least(asked)))
        return replace(found, candles=tuple(candle for candle in found.candles if since < candle.close_time <= until))

    async def book(self, symbol: str, levels: int) -> BookSnapshot:
        """The best levels on each side, at most 500."""
        query = {"pair": (await self.client.pairs()).pair(symbol).altname, "count": min(max(levels, 1), DEEPEST)}
        said = await self.client.public("Depth", query)
        return _read(lambda: parse.book(said, symbol))

    async def trades(self, symbol: str) -> tuple[parse.Traded, ...]:
        """The market's latest trades, oldest first."""
        said = await self.client.public("Trades", {"pair": (await self.client.pairs()).pair(symbol).altname})
        return _read(lambda: parse.trades(said, symbol))

    async def trading(self) -> Trading:
        """What Kraken as a whole lets people do now."""
        said = await self.client.public("SystemStatus")
        return _read(lambda: parse.trading(str(said["status"])))

    def stream(self, subscriptions: Sequence[Subscription]) -> AsyncIterator[Message]:
        return PublicStream(self.client, self.stream_at, subscriptions, self._terms).messages()

    async def close(self) -> None:
        await self.client.close()


def _read(parsed: Callable[[], T]) -> T:
    """An answer, read. Raises NoAnswer for one that is none of the protocol."""
    try:
        return parsed()
    except (ValueError, KeyError, TypeError, IndexError, DomainError) as error:
        raise NoAnswer(f"The venue's answer was none of its protocol ({type(error).__name__}).") from error
