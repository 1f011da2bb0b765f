"""The server's WebSocket side: subscriptions, snapshots, updates with numbers, heartbeats, tokens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from signalist.clock import monotonic
from tests.venues.kraken_server.house import Holder, Refusal, stamp

if TYPE_CHECKING:
    from tests.venues.kraken_server.server import Server

PUBLIC = ("ticker", "trade", "ohlc", "book")
IDLE = 60.0
MOST_CONNECTIONS, WINDOW, BAN = 150, 600.0, 600.0
"""Kraken's gate: so many tries to connect in so many seconds from one address, then none for as long."""


@dataclass(eq=False, slots=True)
class Connection:
    """One connection. `channels` are (channel, symbol, depth or interval); `numbers` count what each private channel has said."""

    ws: web.WebSocketResponse
    request: web.Request
    lines: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    channels: set[tuple[str, str, int]] = field(default_factory=set)
    holder: Holder | None = None
    token: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    heard_at: float = field(default_factory=monotonic)

    def say(self, said: dict[str, Any]) -> None:
        self.say_line(json.dumps(said))

    def say_line(self, line: str) -> None:
        self.lines.put_nowait(line)

    def abort(self) -> None:
        """End it without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()


class Streams:
    """All connections."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.all: set[Connection] = set()
        self.opened = 0
        self.asked: list[tuple[str, str]] = []
        """What was subscribed to and left, in order: (method, channel)."""
        self.closed_to_all = False
        self.idle_after = IDLE
        """Who has said nothing for so many seconds is left, however much it is told meanwhile: the documentation leaves open whose silence
        counts."""
        self.most_connections, self.banned_until = MOST_CONNECTIONS, 0.0
        self.ban, self.tells_ban = BAN, False
        self.tries: list[float] = []
        self.ends_at_once = False
        self.flows = asyncio.Event()
        """Cleared: what is said waits on its way, everything in its order."""
        self.flows.set()
        self._held: list[tuple[Holder, list[dict[str, Any]]]] | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, until it ends."""
        self.opened += 1
        if self._is_banned():
            told = {"Retry-After": str(math.ceil(self.banned_until - monotonic()))} if self.tells_ban else {}
            raise web.HTTPTooManyRequests(text="error code: 1015", headers=told)
        if self.closed_to_all:
            raise web.HTTPServiceUnavailable
        ws = web.WebSocketResponse(autoping=True)
        await ws.prepare(request)
        if self.ends_at_once:
            await ws.close(code=1012)
            return ws
        connection = Connection(ws, request)
        self.all.add(connection)
        connection.say(self._status())
        writing = asyncio.create_task(self._write(connection))
        try:
            async for message in ws:
                connection.heard_at = monotonic()
                if message.type is WSMsgType.TEXT and not self._server.faults.play("request", ("mute",)):
                    self._asked(connection, json.loads(message.data, parse_float=Decimal))
        finally:
            self.all.discard(connection)
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writing
        return ws

    async def _write(self, connection: Connection) -> None:
        while True:
            line = await connection.lines.get()
            await self.flows.wait()
            await connection.ws.send_str(line)

    def _is_banned(self) -> bool:
        """Whether there were more tries to connect within ten minutes than the gate allows; then everybody waits for its ban to end."""
        now = monotonic()
        self.tries = [at for at in self.tries if at > now - WINDOW] + [now]
        if len(self.tries) > self.most_connections and now >= self.banned_until:
            self.banned_until = now + self.ban
        return now < self.banned_until

    async def beat(self, every: float) -> None:
        """Show that the venue lives, to whoever has subscribed; and leave whoever is silent."""
        while True:
            await asyncio.sleep(every)
            for connection in list(self.all):
                if monotonic() > connection.heard_at + self.idle_after:
                    connection.abort()
                if (connection.channels or connection.holder) and not self._server.faults.play("beat", ("mute",)):
                    connection.say({"channel": "heartbeat"})

    async def drop(self) -> None:
        """Cut all connections."""
        for connection in list(self.all):
            await connection.ws.close(code=1012)

    async def end(self) -> None:
        """Serve nobody any more."""
        self.closed_to_all = True
        await self.drop()

    # --- Requests --------------------------------------------------------------------------------

    def _asked(self, connection: Connection, said: dict[str, Any]) -> None:
        method, params, number = said["method"], said.get("params", {}), said.get("req_id", 0)
        if "subscribe" in method:
            self.asked.append((method, str(params["channel"])))
        answer = {"method": method, "req_id": number}
        if method == "ping":
            if not self._server.faults.play("pong", ("mute",)):
                now = stamp(self._server.now())
                connection.say({"method": "pong", "req_id": number, "time_in": now, "time_out": now})
        elif method in self._server.trading:
            self._server.trading.asked(connection, said)
        elif method not in ("subscribe", "unsubscribe"):
            connection.say(answer | {"success": False, "error": "Unsupported event"})
        elif params["channel"] == "instrument":
            connection.channels.add(("instrument", "", 0))
            connection.say(answer | {"success": True, "result": {"channel": "instrument"}})
            pairs = [self.pair_row(pair.symbol) for pair in self._server.house.pairs.all]
            connection.say({"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": pairs}})
        elif params["channel"] in PUBLIC:
            for symbol in params["symbol"]:
                self._public(connection, answer, params, symbol)
        elif params["channel"] in ("executions", "balances"):
            self._private(connection, answer, params)
        else:
            connection.say(answer | {"success": False, "error": "Unsupported event"})

    def _public(self, connection: Connection, answer: dict[str, Any], params: dict[str, Any], symbol: str) -> None:
        market, channel = self._server.market, params["channel"]
        detail = int(params.get("depth") or params.get("interval") or 0)
        if symbol not in {pair.symbol for pair in self._server.house.pairs.all}:
            connection.say(
                answer | {"success": False, "error": f"Currency pair not supported {symbol}", "symbol": symbol}
            )
            return
        connection.say(answer | {"success": True, "result": {"channel": channel, "symbol": symbol}})
        if answer["method"] == "unsubscribe":
            connection.channels.discard((channel, symbol, detail))
            return
        connection.channels.add((channel, symbol, detail))
        rows: list[dict[str, Any]] = []
        if channel == "ticker" and symbol in market.last:
            rows = [market._ticker_row(symbol)]
        elif channel == "book" and symbol in market.last:
            rows = [market.book(symbol)]
        elif channel == "ohlc":
            rows = [
                market.candle_row(symbol, detail, begun) for begun in sorted(market.candles.get((symbol, detail), {}))
            ]
        if rows and params.get("snapshot", True):
            told = {"timestamp": stamp(self._server.now())} if channel == "ohlc" else {}
            connection.say({"channel": channel, "type": "snapshot"} | told | {"data": rows})

    def _private(self, connection: Connection, answer: dict[str, Any], params: dict[str, Any]) -> None:
        channel, server = params["channel"], self._server
        try:
            holder = connection.holder = server.trading.holder(params.get("token", ""))
        except Refusal as refusal:
            connection.say(answer | {"success": False, "error": str(refusal)})
            return
        connection.token = params["token"]
        most = {"maxratecount": int(server.tier.orders.size)} if channel == "executions" else {}
        connection.say(answer | {"success": True, "result": {"channel": channel, "snapshot": True} | most})
        rows = server.house.snapshot(holder) if channel == "executions" else []
        self._tell(connection, channel, "snapshot", rows)

    # --- What is said ----------------------------------------------------------------------------

    def publish(self, message: dict[str, Any]) -> None:
        """A message of a public channel, to whoever has subscribed."""
        row, channel = message["data"][0], message["channel"]
        if channel == "book" and self._server.faults.play("book", ("wrong_checksum",)):
            row["checksum"] += 1
        if channel == "book" and self._server.faults.play("book", ("corrupted",)):
            row["bids"][-1]["qty"] += 7.0
        for connection in self.all:
            wanted = {(c, s) for c, s, detail in connection.channels if c != "ohlc" or detail == row.get("interval")}
            if (channel, row["symbol"]) in wanted and not self._server.faults.play(channel, ("mute",)):
                connection.say(message)
                if self._server.faults.play(channel, ("twice",)):
                    connection.say(message)

    def pair_row(self, symbol: str, **more: Any) -> dict[str, Any]:
        """A pair as the instrument channel tells it."""
        spec = self._server.house.pairs.pair(symbol).spec
        rules = {"price_increment": spec.tick, "qty_increment": spec.lot}
        rules |= {"qty_min": spec.min_quantity, "cost_min": spec.min_notional}
        return {"symbol": symbol, "status": "online"} | {name: float(value) for name, value in rules.items()} | more

    def tell_pair(self, symbol: str, **more: Any) -> None:
        """Something has changed of a pair: whoever has subscribed is told."""
        said = {"assets": [], "pairs": [self.pair_row(symbol, **more)]}
        for connection in self.all:
            if ("instrument", "", 0) in connection.channels:
                connection.say({"channel": "instrument", "type": "update", "data": said})

    def executed(self, holder: Holder, rows: list[dict[str, Any]]) -> None:
        """Something has happened in an account."""
        if self._held is not None:
            self._held.append((holder, rows))
            return
        for connection in self.all:
            if connection.holder is holder:
                for row in rows:
                    self._tell(connection, "executions", "update", [row])
                self._tell(connection, "balances", "update", [])

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """What happens within is told after it."""
        held = self._held = []
        try:
            yield
        finally:
            self._held = None
            for holder, rows in held:
                self.executed(holder, rows)

    def _tell(self, connection: Connection, channel: str, kind: str, rows: list[dict[str, Any]]) -> None:
        number = connection.numbers[channel] = connection.numbers.get(channel, 0) + 1
        if channel == "executions" and kind == "update" and self._server.faults.play(channel, ("gap", "mute")):
            return
        said = {"channel": channel, "type": kind, "data": rows, "sequence": number}
        connection.say(said)
        if self._server.faults.play(channel, ("twice",)):
            connection.say(said)

    def system(self, word: str) -> None:
        """The venue as a whole is in another state: new orders feel it, and the stream says it."""
        self._server.house.system = word
        for connection in self.all:
            connection.say(self._status())

    def _status(self) -> dict[str, Any]:
        row = {"system": self._server.house.system, "api_version": "v2", "connection_id": 1, "version": "2.0.4"}
        return {"channel": "status", "type": "update", "data": [row]}
