"""A feed from Kraken's server on this machine: its messages as they were recorded, clocks that may be apart, and a strategy that is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.clock import ReplayClock
from signalist.domain.matching import Bar
from signalist.markets.feed_models import Feed, FeedSource
from signalist.markets.models import Candle, Instrument
from signalist.markets.service import MarketService
from signalist.markets.wanted import Wanted
from signalist.strategies.models import StrategyRun
from signalist.strategies.run import claim
from signalist.strategies.selectors import forget_schedules
from signalist.venues.kraken import protocol
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.transport.budgets import Budget
from tests.markets.feed_world import ENGINE, MINUTE, NOON, SECOND, at_once, instrument, schedule, until
from tests.venues.kraken_bench import BITCOIN
from tests.venues.kraken_server.server import Server, serving


def listed(*symbols: str) -> dict[str, Any]:
    """Pairs as AssetPairs lists them."""
    found = {}
    for symbol in symbols:
        base, _, quote = symbol.partition("/")
        names = {"altname": base + quote, "wsname": symbol.replace("BTC", "XBT"), "base": base, "quote": quote}
        found[f"X{base}Z{quote}"] = BITCOIN | names
    return found


@dataclass
class KrakenWorld:
    """`ran` are the closes that a strategy was run on, of whichever market."""

    server: Server
    clock: ReplayClock
    service: MarketService
    markets: dict[str, Instrument]
    fed: dict[str, tuple[int, ...]]
    ran: list[datetime] = field(default_factory=list)

    def trade(self, price: int, symbol: str = "BTC/USD") -> None:
        """Somebody trades there."""
        self.server.move(symbol, Bar.tick(Decimal(price)), Decimal(price))

    async def at(self, seconds: float) -> None:
        """Let it be so many seconds after noon by our clock, and let what was said meanwhile arrive."""
        moment = NOON + timedelta(seconds=seconds)
        if moment > self.clock.now():
            self.clock.advance_to(moment)
        await self.turn()

    async def turn(self, within: float = 0.25) -> None:
        """Rounds of the service for so long, each with what the run stage claims after it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while loop.time() < end:
            await self.service.turn()
            self.ran += [run.candle_close for run in claim(ENGINE, self.clock.now())]
            await asyncio.sleep(0.01)

    async def until(self, true: Callable[[], bool], what: str, within: float = 5.0) -> None:
        """Go round until it is true."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not true():
            assert loop.time() < deadline, f"waited for {what}: {self.claimed()}"
            await self.turn(0.02)

    async def also(self, symbol: str) -> None:
        """Have another market fed from now on."""
        self.fed[symbol] = (self.markets[symbol].pk,)
        self.service.due_now("wanted")
        await self.turn()

    def is_told_the_time(self) -> bool:
        """Whether Kraken has said what time it is there."""
        return all(connection.there.told is not None for connection in self.service._ear._connections.values())

    def stored(self, symbol: str = "BTC/USD", frame: str = "1m") -> list[tuple[int, int, bool]]:
        """What is stored of after noon: minutes after it, close, and whether it is synthetic."""
        rows = Candle.objects.filter(instrument=self.markets[symbol], timeframe=frame, close_time__gt=NOON)
        return [
            (round((row.close_time - NOON) / MINUTE), int(row.close), row.is_synthetic)
            for row in rows.order_by("close_time")
        ]

    def claimed(self) -> list[tuple[datetime, str]]:
        """All runs, with what became of them."""
        return list(StrategyRun.objects.order_by("candle_close", "pk").values_list("candle_close", "status"))

    async def shown(self, symbol: str = "BTC/USD") -> tuple[Feed, FeedSource]:
        """How the feed and its source say that they stand."""
        self.service.due_now("rows")
        await self.service.turn()
        return Feed.objects.get(instrument=self.markets[symbol]), FeedSource.objects.get(code="kraken")


@asynccontextmanager
async def kraken_world(
    *symbols: str, ahead: float = 0.0, frames: frozenset[str] = frozenset(), later: str = ""
) -> AsyncIterator[KrakenWorld]:
    """Five seconds after noon by our clock, everything traded at 100; Kraken's clock is `ahead` of ours by so many seconds.
    `later` is a market that is not fed yet."""
    forget_schedules()
    symbols = symbols or ("BTC/USD",)
    clock = ReplayClock(NOON + 5 * SECOND)
    server = Server(listed(*symbols), Terms(), protocol.TIERS["starter"], clock.now)
    server.ahead = ahead
    markets = {symbol: instrument(symbol, "kraken") for symbol in symbols}
    for each in markets.values():
        for frame in frames | {"1m"}:
            schedule(each, frame)
    fed = {symbol: (each.pk,) for symbol, each in markets.items() if symbol != later}
    async with serving(server, beat=0.02) as address:
        client = Client(clock, base=address, public=Budget(1e6, 1e6))
        source = KrakenMarket(client, address.replace("http", "ws") + "/v2")
        source.limits = replace(source.limits, pause=0.02)
        service = MarketService(source, clock, at_once, ENGINE, lambda: Wanted(dict(fed), dict.fromkeys(fed, frames)))
        here = KrakenWorld(server, clock, service, markets, fed)
        for symbol in symbols:
            here.trade(100, symbol)
        try:
            await here.service.turn()
            await until(lambda: all(line.is_open for line in here.service.lines().values()), "the stream")
            await until(here.is_told_the_time, "the time")
            await until(lambda: here.service.board.quotes.keys() >= fed.keys(), "the first prices")
            yield here
        finally:
            await here.service.stop()
            forget_schedules()
