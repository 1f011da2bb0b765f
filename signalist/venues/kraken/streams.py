"""Kraken's public stream (WebSocket v2): one connection, everything subscribed once, and every message as the house's own values.

Kraken sends a heartbeat about every second once anything is subscribed, so that silence is noticed. It closes a candle without saying so,
and has no numbers on its messages but a checksum on each book: a book that is wrong is left and subscribed anew, alone. Pings soon after
each close have it name its time (`minutes.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from signalist.clock import monotonic
from signalist.domain.errors import DomainError
from signalist.venues.errors import Refused, SessionLost, VenueError
from signalist.venues.kraken.bars import Bars
from signalist.venues.kraken.book import DEPTHS, Book, WrongBook
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.minutes import Minutes
from signalist.venues.kraken.parse import INTERVALS, Traded, instant, number, read, side, trading
from signalist.venues.kraken.symbols import Pairs
from signalist.venues.market_data import (
    Channel,
    Heartbeat,
    MarketNews,
    Message,
    Standing,
    StreamState,
    Subscription,
    Ticker,
    Trouble,
    TroubleKind,
)
from signalist.venues.transport.sockets import Barred, LinkTerms, Wire, connected

USUAL = LinkTerms()
AT_ONCE = 50
"""Symbols in one subscription."""
LOOK_EVERY = 0.1
"""Seconds between two looks at whether to ask for the time."""
Said = Mapping[str, Any]


def request(method: str, number: int, params: Mapping[str, Any] | None = None) -> str:
    """A request as it is sent; a ping takes no parameters."""
    said = {"method": method} | ({} if params is None else {"params": params}) | {"req_id": number}
    return json.dumps(said, separators=(",", ":"))


def params_of(subscription: Subscription) -> dict[str, Any]:
    """What a subscription is asked for with, but for its symbol. Raises Refused for what Kraken does not have."""
    if subscription.channel is Channel.MARKETS:
        return {"channel": "instrument", "snapshot": True}
    if subscription.channel is Channel.TICKER:
        return {"channel": "ticker", "snapshot": True}
    if subscription.channel is Channel.CANDLES:
        if subscription.frame is None or subscription.frame not in INTERVALS:
            raise Refused(f"Kraken has no candles of {subscription.frame.code if subscription.frame else 'no length'}.")
        return {"channel": "ohlc", "interval": INTERVALS[subscription.frame], "snapshot": True}
    wanted = max(subscription.depth, DEPTHS[0])
    depth = next((depth for depth in DEPTHS if depth >= wanted), DEPTHS[-1])
    return {"channel": "book", "depth": depth, "snapshot": True}


class PublicStream:
    """One connection with these subscriptions."""

    def __init__(
        self, client: Client, url: str, subscriptions: Sequence[Subscription], terms: LinkTerms = USUAL
    ) -> None:
        self._client, self._url, self._terms = client, url, terms
        self._wanted = list(dict.fromkeys(subscriptions))
        self._bars, self._books = Bars(), dict[str, Book]()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, float] = {}
        self._to_say: list[str] = []
        self._online = True
        frames = [one.frame for one in self._wanted if one.frame is not None]
        self._minutes = Minutes(min(frames, key=lambda frame: frame.seconds)) if frames else None
        self._channels: Mapping[str, Callable[[Said], Iterator[Message]]] = {
            "ticker": self._tickers,
            "ohlc": self._candles,
            "book": self._book,
            "instrument": self._markets,
            "status": self._status,
        }

    async def messages(self) -> AsyncIterator[Message]:
        """See `MarketData.stream`."""
        refused = self._prepare(await self._client.pairs())
        async with self._connected() as wire:
            await self._say(wire)
            yield StreamState(Standing.OPEN)
            for trouble in refused:
                yield trouble
            asking = asyncio.create_task(self._ask_the_time(wire))
            try:
                while True:
                    for message in self.heard(await wire.hear()):
                        yield message
                    await self._say(wire)
                    if any(monotonic() > due for due in self._waiting.values()):
                        raise SessionLost("The stream did not answer a subscription in time.")
            finally:
                asking.cancel()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Wire]:
        """A connection, once our address may open another. Raises Barred at once where it may not for long, so that it is said."""
        if (left := self._client.barred_for()) > self._terms.connect_within:
            raise Barred(f"Kraken takes no more connections from here for another {left:.0f} seconds.", left)
        await self._client.may_connect()
        try:
            async with connected(self._url, self._terms, lambda: request("ping", next(self._numbers))) as wire:
                yield wire
        except Barred as barred:
            self._client.barred(barred.after)
            raise

    async def _ask_the_time(self, wire: Wire) -> None:
        """Ping soon after each close. A connection that takes no ping has ended, as whoever listens to it hears."""
        minutes = self._minutes
        with contextlib.suppress(VenueError):
            while minutes is not None:
                now = self._client.clock.now()
                there = self._client.venue_time(now) if minutes.ahead is None else now + minutes.ahead
                if minutes.is_due(there, monotonic()):
                    number = next(self._numbers)
                    minutes.asked(number, monotonic())
                    await wire.send(request("ping", number))
                await asyncio.sleep(LOOK_EVERY)

    def _prepare(self, known: Pairs) -> list[Trouble]:
        """Have everything said that is wanted; what cannot be had is told."""
        refused, batches = [], dict[str, tuple[dict[str, Any], list[str]]]()
        for one in self._wanted:
            if one.channel is Channel.MARKETS:
                self._ask("subscribe", params_of(one))
                continue
            try:
                pair, params = known.pair(one.symbol), params_of(one)
            except Refused as error:
                refused.append(Trouble(TroubleKind.REFUSED, one.symbol, str(error)))
                continue
            if one.channel is Channel.BOOK:
                decimals = pair.price_decimals, pair.quantity_decimals
                self._books[one.symbol] = Book(one.symbol, params["depth"], *decimals)
            batches.setdefault(json.dumps(params), (params, []))[1].append(one.symbol)
        for params, symbols in batches.values():
            for start in range(0, len(symbols), AT_ONCE):
                self._ask("subscribe", params | {"symbol": symbols[start : start + AT_ONCE]})
        return refused

    def _ask(self, method: str, params: Mapping[str, Any]) -> None:
        asked = next(self._numbers)
        self._waiting[asked] = monotonic() + self._terms.answer_within
        self._to_say.append(request(method, asked, params))

    async def _say(self, wire: Wire) -> None:
        while self._to_say:
            await wire.send(self._to_say.pop(0))

    # --- What it says ----------------------------------------------------------------------------

    def heard(self, text: str) -> Iterator[Message]:
        """A message's meaning; one that cannot be read is told, and harms nothing else."""
        try:
            said = read(text)
            if "method" in said:
                yield from self._answered(said)
            elif said["channel"] == "heartbeat":
                yield Heartbeat()
            elif said["channel"] in self._channels:
                yield from list(self._channels[said["channel"]](said))
        except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, DomainError) as error:
            yield Trouble(TroubleKind.MALFORMED, "", f"{type(error).__name__}: {text[:120]}")

    def _answered(self, said: Said) -> Iterator[Message]:
        # One answer for each symbol: the first shows that the request was heard.
        self._waiting.pop(int(said.get("req_id") or 0), None)
        if said["method"] == "pong":
            at = None if said.get("time_out") is None else instant(said["time_out"])
            way = None if self._minutes is None else self._minutes.answered(int(said.get("req_id") or 0), monotonic())
            self._names_its_time(at)
            yield Heartbeat(at, way)
        elif not said.get("success", True) and not str(said["error"]).startswith("Already subscribed"):
            symbol = str(said.get("symbol") or (said.get("result") or {}).get("symbol") or "")
            yield Trouble(TroubleKind.REFUSED, symbol, str(said["error"])[:200])

    def _tickers(self, said: Said) -> Iterator[Message]:
        for row in said["data"]:
            at = row.get("timestamp")
            volume, vwap, low, high, change = (
                number(row[name]) for name in ("volume", "vwap", "low", "high", "change")
            )
            yield Ticker(
                symbol=str(row["symbol"]),
                last=number(row["last"]),
                at=None if at is None else instant(at),
                bid=number(row["bid"]),
                ask=number(row["ask"]),
                bid_quantity=number(row["bid_qty"]),
                ask_quantity=number(row["ask_qty"]),
                is_trade=said.get("type") == "update",  # by the usual `event_trigger`, every trade and nothing else
                volume=volume,
                vwap=vwap,
                low=low,
                high=high,
                change=change,
            )

    def _candles(self, said: Said) -> Iterator[Message]:
        at = None if said.get("timestamp") is None else instant(said["timestamp"])
        self._names_its_time(at)
        yield from self._bars.take(said["data"], at)

    def _names_its_time(self, at: datetime | None) -> None:
        if at is not None and self._minutes is not None:
            self._minutes.says(at, self._client.clock.now())

    def _markets(self, said: Said) -> Iterator[Message]:
        """Of all markets those that are subscribed to: the snapshot tells hundreds."""
        wanted = {one.symbol for one in self._wanted}
        for row in said["data"]["pairs"]:
            if (symbol := str(row["symbol"])) in wanted:
                rules = tuple(number(row[name]) for name in ("price_increment", "qty_increment", "qty_min", "cost_min"))
                yield MarketNews(symbol, trading(str(row["status"])), rules)

    def _book(self, said: Said) -> Iterator[Message]:
        for row in said["data"]:
            book = self._books.get(str(row["symbol"]))
            if book is None:
                continue
            try:
                found = book.take(row, snapshot=said["type"] == "snapshot")
            except WrongBook as wrong:
                params = {"channel": "book", "depth": book.depth, "symbol": [book.symbol]}
                self._ask("unsubscribe", params)
                self._ask("subscribe", params | {"snapshot": True})
                yield Trouble(TroubleKind.CHECKSUM, book.symbol, str(wrong))
            else:
                if found is not None:
                    yield found

    def _status(self, said: Said) -> Iterator[Message]:
        system = str(said["data"][0]["system"])
        online, before = system == "online", self._online
        self._online = online
        if online and not before:
            yield StreamState(Standing.ONLINE)
        elif not online:
            yield StreamState(Standing.MAINTENANCE, f"Kraken says that it is in {system.replace('_', ' ')}.")


def trades(said: Said) -> list[Traded]:
    """A message of the trade channel, oldest first."""
    return [
        Traded(
            symbol=str(row["symbol"]),
            side=side(str(row["side"])),
            price=number(row["price"]),
            quantity=number(row["qty"]),
            at=instant(row["timestamp"]),
            number=int(row["trade_id"]),
        )
        for row in said["data"]
    ]


def precisions(said: Said) -> dict[str, tuple[int, int]]:
    """A message of the instrument channel: by symbol, the decimals of prices and quantities."""
    pairs = said["data"]["pairs"]
    return {str(row["symbol"]): (int(row["price_precision"]), int(row["qty_precision"])) for row in pairs}
