"""The server's REST side: signatures over the bytes as they came, nonces, counters, and the answers; and where both sides are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from signalist.clock import monotonic
from signalist.domain.matching import Bar
from signalist.venues.kraken import parse
from signalist.venues.kraken.protocol import Tier
from signalist.venues.paper.book import TapeRow
from signalist.venues.paper.matching_desk import Terms
from tests.venues.kraken_server import rules
from tests.venues.kraken_server.faults import Faults
from tests.venues.kraken_server.house import Holder, House, Refusal
from tests.venues.kraken_server.market import Market
from tests.venues.kraken_server.streams import Streams
from tests.venues.kraken_server.trading import Trading

RIGHTS = {
    "BalanceEx": "funds",
    "OpenOrders": "open",
    "ClosedOrders": "closed",
    "QueryOrders": "closed",
    "TradesHistory": "closed",
    "QueryTrades": "closed",
    "TradeVolume": "funds",
    "AddOrder": "create",
    "AmendOrder": "create",
    "CancelOrder": "cancel",
    "GetWebSocketsToken": "stream",
    "WithdrawMethods": "withdraw",
}
PAGE = 50


class Server:
    """The venue. `ahead` is what its clock is ahead of the one that it is set by."""

    def __init__(self, pairs: Mapping[str, Any], terms: Terms, tier: Tier, now: Callable[[], datetime]) -> None:
        self.listed, self.tier, self._now = pairs, tier, now
        self.faults = Faults()
        self.ahead = 0.0
        self.fills_behind = timedelta()
        """So long after a fill its order shows it, and nothing tells the fill: neither the histories nor the order's list of trades."""
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.carried_out: list[str] = []
        """What was asked over REST in an account's name, by who may."""
        known = parse.pairs(parse.read(json.dumps(pairs)))
        self.streams, self.trading = Streams(self), Trading(self)
        self.house = House(known, terms, tier, self.now, monotonic, self.streams.executed)
        self.market = Market(known, self.now)
        self.tokens: dict[str, tuple[str, datetime]] = {}
        """Whose key each is for, and when it was made."""
        self._private: Mapping[str, Callable[[Holder, Mapping[str, str]], Any]] = {
            "AddOrder": self.house.add,
            "AmendOrder": self.house.amend,
            "CancelOrder": self._cancel,
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "QueryOrders": self._query_orders,
            "TradesHistory": self._trades,
            "QueryTrades": self._query_trades,
            "BalanceEx": lambda holder, _: self.house.balances(holder),
            "GetWebSocketsToken": self._token,
            "TradeVolume": self._volume,
            "WithdrawMethods": lambda holder, _: [],
        }

    def now(self) -> datetime:
        """The time at the venue."""
        return datetime.fromtimestamp(self._now().timestamp() + self.ahead, UTC)

    def move(self, symbol: str, bar: Bar, last: Decimal | None = None) -> None:
        """Let the market do this."""
        self.house.move(symbol, bar)
        if last is not None:
            self.house.prices[symbol] = last
            for message in self.market.traded(symbol, last):
                self.streams.publish(message)

    # --- REST ------------------------------------------------------------------------------------

    async def rest(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        method, is_private = request.match_info["method"], request.match_info["side"] == "private"
        body = await request.read()
        self.asked.append(method)
        fault = self.faults.play(method, ("lost", "slow", "error", "drop", "520", "empty", "malformed"))
        kind = fault.kind if fault is not None else ""
        if kind == "lost":
            return self._cut(request)
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.seconds)
        try:
            if fault is not None and kind == "error":
                raise Refusal(fault.text)
            result = self._signed(request, method, body) if is_private else self._public(method, request.query)
            said: dict[str, Any] = {"error": [], "result": result}
        except Refusal as refusal:
            said = {"error": [str(refusal)]}
            self.refused.append(str(refusal))
        if kind == "drop":
            return self._cut(request)
        if kind == "520":
            return web.Response(status=520, text="<html>Web server is returning an unknown error</html>")
        text = {"empty": "", "malformed": json.dumps(said)[:10]}.get(kind, json.dumps(said))
        date = format_datetime(self.now().replace(microsecond=0), usegmt=True)
        return web.Response(text=text, content_type="application/json", headers={"Date": date})

    def _cut(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _signed(self, request: web.Request, method: str, body: bytes) -> Any:
        """Carry out a private request, if whoever sent it may."""
        try:
            said = rules.fields_of(body, request.headers.get("Content-Type", ""))
        except ValueError:
            raise Refusal("EAPI:Bad request") from None
        holder = self.house.holders.get(request.headers.get("API-Key", ""))
        if holder is None:
            raise Refusal("EAPI:Invalid key")
        nonce = said.get("nonce", "")
        if not rules.is_signed(holder.secret, request.path, nonce, body, request.headers.get("API-Sign", "")):
            raise Refusal("EAPI:Invalid signature")
        if not nonce.isdecimal() or int(nonce) <= holder.nonce:
            raise Refusal("EAPI:Invalid nonce")
        holder.nonce = int(nonce)
        if method not in self._private:
            raise Refusal("EGeneral:Unknown method")
        if RIGHTS[method] not in holder.rights:
            raise Refusal("EGeneral:Permission denied")
        if not holder.calls.add(rules.counts(method), monotonic()):
            raise Refusal("EAPI:Rate limit exceeded")
        self.carried_out.append(method)
        return self._private[method](holder, said)

    def _public(self, method: str, query: Mapping[str, str]) -> Any:
        if method == "AssetPairs":
            return self.listed
        if method == "SystemStatus":
            return {"status": self.house.system, "timestamp": self.now().isoformat()}
        if method == "Ticker":
            return self.market.ticker(query.get("pair"))
        if method == "OHLC":
            return self.market.ohlc(query["pair"], int(query["interval"]), int(query.get("since", 0)))
        if method == "Depth":
            return self.market.depth(query["pair"], int(query.get("count", 100)))
        if method == "Time":
            return {"unixtime": int(self.now().timestamp())}
        raise Refusal("EGeneral:Unknown method")

    # --- What accounts ask -----------------------------------------------------------------------

    def _cancel(self, holder: Holder, said: Mapping[str, str]) -> Any:
        pending = self.faults.play("CancelOrder", ("pending",))
        return {"count": 1, "pending": True} if pending else self.house.cancel(holder, said)

    def _open_orders(self, holder: Holder, said: Mapping[str, str]) -> Any:
        hidden = self.faults.play("OpenOrders", ("hidden",))
        rows = {} if hidden else {txid: self.house.row(holder, order) for txid, order in holder.book.orders.items()}
        wanted = said.get("cl_ord_id")
        return {"open": {txid: row for txid, row in rows.items() if not wanted or row.get("cl_ord_id") == wanted}}

    def _closed_orders(self, holder: Holder, said: Mapping[str, str]) -> Any:
        hidden = self.faults.play("ClosedOrders", ("hidden",))
        start, wanted = float(said.get("start", 0)), said.get("cl_ord_id")
        rows = {
            txid: self.house.row(holder, order)
            for txid, order in reversed(({} if hidden else holder.done).items())
            if start <= holder.closed_at[txid].timestamp() <= float(said.get("end", "inf"))
        }
        found = {txid: row for txid, row in rows.items() if not wanted or row.get("cl_ord_id") == wanted}
        return {"closed": _page(found, said), "count": len(found)}

    def _query_orders(self, holder: Holder, said: Mapping[str, str]) -> Any:
        found = {txid: holder.order(txid) for txid in said["txid"].split(",")[:50]}
        rows = {txid: self.house.row(holder, order) for txid, order in found.items() if order is not None}
        if said.get("trades") == "true":
            for txid, row in rows.items():
                row["trades"] = [trade for trade, fill in self._shown(holder) if fill.client_order_id == txid]
        return rows

    def _shown(self, holder: Holder) -> list[tuple[str, TapeRow]]:
        """The fills that are told by now."""
        return [(trade, row) for trade, row in holder.tape if row.time + self.fills_behind <= self.now()]

    def _trades(self, holder: Holder, said: Mapping[str, str]) -> Any:
        start, tape = float(said.get("start", 0)), self._shown(holder)
        if self.faults.play("TradesHistory", ("hidden",)):
            tape = []
        end = float(said.get("end", "inf"))
        rows = {trade: self.house.trade(row) for trade, row in reversed(tape) if start <= row.time.timestamp() <= end}
        return {"trades": _page(rows, said), "count": len(rows)}

    def _query_trades(self, holder: Holder, said: Mapping[str, str]) -> Any:
        wanted = said["txid"].split(",")
        if len(wanted) > 20:
            raise Refusal("EGeneral:Invalid arguments:txid")
        shown = dict(self._shown(holder))
        return {trade: self.house.trade(shown[trade]) for trade in wanted if trade in shown}

    def _volume(self, holder: Holder, said: Mapping[str, str]) -> Any:
        """In percents; the pairs by their keys, whichever name they were asked by."""
        pairs = [self.house.pairs.pair(name) for name in said["pair"].split(",")]
        kinds = {"fees": self.house.terms.taker_fee, "fees_maker": self.house.terms.maker_fee}
        rows = {
            kind: {pair.key: {"fee": f"{rate * 100:.4f}", "nextfee": None, "tiervolume": "0.0000"} for pair in pairs}
            for kind, rate in kinds.items()
        }
        return {"currency": self.house.cash_key, "volume": "0.0000"} | rows

    def _token(self, holder: Holder, said: Mapping[str, str]) -> Any:
        token = secrets.token_hex(16)
        self.tokens[token] = holder.key, self.now()
        return {"token": token, "expires": 900}


def _page(rows: dict[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    first = int(said.get("ofs", 0))
    return dict(list(rows.items())[first : first + PAGE])


@asynccontextmanager
async def serving(server: Server, beat: float = 0.2) -> AsyncIterator[str]:
    """Serve on a port of this machine while the block lasts; its address."""
    app = web.Application()
    app.router.add_route("*", "/0/{side:public|private}/{method}", server.rest)
    app.router.add_get("/v2", server.streams.serve)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    beating = asyncio.create_task(server.streams.beat(beat))
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        server.trading.end()
        await server.streams.end()
        await runner.cleanup()
