"""A venue's public side on the loopback interface: a real WebSocket and a real history over HTTP, which say what a test has them say.

Every lie of a feed is told here on the wire: the server sends what it is given, keeps silent, drops its sockets or breaks its word.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp
from aiohttp import web

from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.timeframes import Timeframe, timeframe
from signalist.venues.errors import Busy, SessionLost
from signalist.venues.market_data import (
    CandleUpdate,
    Heartbeat,
    HistoryPage,
    MarketLimits,
    Message,
    Standing,
    StreamState,
    Subscription,
    Tally,
    Ticker,
    Trouble,
    TroubleKind,
)


class FeedServer:
    """Serves on a port of its own between `start` and `stop`. `past` are the candles that history has, by symbol and timeframe."""

    def __init__(self) -> None:
        self.past: dict[tuple[str, str], list[Candle]] = {}
        self.prices: dict[str, Decimal] = {}
        self.page, self.asked, self.joined = 100, 0, 0
        self.subscribed: list[list[str]] = []
        self.is_away = self.streams_not = False
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """The address."""
        app = web.Application()
        app.add_routes([web.get("/stream", self._stream), web.get("/history", self._history)])
        app.add_routes([web.get("/tickers", self._tickers)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        return f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """End everything."""
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def say(self, **words: Any) -> None:
        """Send one message to everybody who listens."""
        text = json.dumps(words)
        for socket in list(self._sockets):
            await socket.send_str(text)

    async def drop(self) -> None:
        """Close all sockets."""
        for socket in list(self._sockets):
            await socket.close()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.is_away or self.streams_not:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.subscribed = (await socket.receive_json())["subscribe"]
        self.joined += 1
        self._sockets.add(socket)
        await socket.send_str(json.dumps({"say": "open"}))
        try:
            async for _ in socket:
                pass
        finally:
            self._sockets.discard(socket)
        return socket

    async def _history(self, request: web.Request) -> web.Response:
        if self.is_away:
            raise web.HTTPServiceUnavailable
        self.asked += 1
        words = request.query
        since, until = datetime.fromisoformat(words["since"]), datetime.fromisoformat(words["until"])
        there = [c for c in self.past.get((words["symbol"], words["frame"]), ()) if since < c.close_time <= until]
        page = there[: self.page]
        more = page[-1].close_time.isoformat() if len(there) > len(page) else None
        return web.json_response({"candles": [spoken(candle) for candle in page], "more": more})

    async def _tickers(self, request: web.Request) -> web.Response:
        if self.is_away:
            raise web.HTTPServiceUnavailable
        self.asked += 1
        return web.json_response({symbol: str(price) for symbol, price in self.prices.items()})


def spoken(candle: Candle) -> list[str]:
    """A candle on the wire."""
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return [candle.close_time.isoformat(), *map(str, numbers)]


def understood(words: Sequence[str]) -> Candle:
    """A candle from the wire."""
    first, high, low, last, volume = map(Decimal, words[1:])
    return Candle(datetime.fromisoformat(words[0]), first, high, low, last, volume)


class FeedClient:
    """The client of that server, as a venue's folder would have one. `heard` counts messages that were taken."""

    code = "loop"

    def __init__(self, address: str, *, silence: float = 30.0, reach: int | None = None, code: str = "loop") -> None:
        frames = frozenset({"1m", "5m", "1h"})
        self.limits = MarketLimits(frames, page=100, reach=reach, pause=0.0, silence=silence)
        self.code, self.heard = code, 0
        self._address = address
        self._session: aiohttp.ClientSession | None = None

    async def instruments(self) -> tuple[InstrumentSpec, ...]:
        return ()

    async def history(self, symbol: str, frame: Timeframe, since: datetime, until: datetime) -> HistoryPage:
        said = await self._get(
            "history", symbol=symbol, frame=frame.code, since=since.isoformat(), until=until.isoformat()
        )
        more = said["more"]
        return HistoryPage(tuple(map(understood, said["candles"])), datetime.fromisoformat(more) if more else None)

    async def tickers(self, symbols: Collection[str] | None = None) -> Mapping[str, Ticker]:
        said = await self._get("tickers")
        return {s: Ticker(s, Decimal(price)) for s, price in said.items() if symbols is None or s in symbols}

    async def tally(self, symbols: Collection[str]) -> Tally | None:
        return None

    async def stream(self, subscriptions: Sequence[Subscription]) -> AsyncIterator[Message]:
        wanted = [[s.channel.value, s.symbol, s.frame.code if s.frame else ""] for s in subscriptions]
        try:
            async with self._opened().ws_connect(f"{self._address}/stream") as socket:
                await socket.send_json({"subscribe": wanted})
                async for arrived in socket:
                    yield message(json.loads(arrived.data))
                    self.heard += 1
        except aiohttp.ClientError as error:
            raise SessionLost(f"{type(error).__name__}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def _get(self, path: str, **words: str) -> Any:
        try:
            async with self._opened().get(f"{self._address}/{path}", params=words) as answer:
                if answer.status != 200:
                    raise Busy(f"status {answer.status}")
                return await answer.json()
        except aiohttp.ClientError as error:
            raise Busy(f"{type(error).__name__}") from None


def message(words: dict[str, Any]) -> Message:
    """What one message of the wire says."""
    match words["say"]:
        case "ticker":
            at = datetime.fromisoformat(words["at"]) if words.get("at") else None
            return Ticker(words["symbol"], Decimal(words["price"]), at)
        case "candle":
            return CandleUpdate(
                words["symbol"], timeframe(words["frame"]), understood(words["candle"]), words["closed"]
            )
        case "beat":
            return Heartbeat()
        case "trouble":
            return Trouble(TroubleKind(words["kind"]), words.get("symbol", ""), words["why"])
        case standing:
            return StreamState(Standing(standing), words.get("why", ""))
