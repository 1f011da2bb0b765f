"""A small world around one feed: a lying server, its client, the service on a clock that a test moves, and a strategy that is due."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from signalist.clock import ReplayClock
from signalist.domain.candles import Candle
from signalist.markets.feed_models import Feed, FeedSource
from signalist.markets.models import Candle as CandleRow
from signalist.markets.models import Instrument
from signalist.markets.service import MarketService
from signalist.markets.wanted import Wanted
from signalist.strategies.models import RunStatus, Schedule, Strategy, StrategyRun, StrategyVersion
from signalist.strategies.run import claim
from signalist.strategies.selectors import forget_schedules
from tests.markets.loopback_feed import FeedClient, FeedServer, spoken

NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
ENGINE = uuid.UUID(int=7)


def candle(minute: int, close: int | str = 100, volume: int | str = 1) -> Candle:
    """The candle of one minute that closes so many minutes after noon."""
    price = Decimal(close)
    return Candle(NOON + minute * MINUTE, price, price + 1, price - 1, price, Decimal(volume))


def instrument(symbol: str, venue: str = "loop") -> Instrument:
    """An instrument of that venue."""
    steps = {"tick": Decimal("0.1"), "lot": 1, "min_quantity": 1, "min_notional": 1}
    base, _, quote = symbol.partition("/")
    return Instrument.objects.create(venue=venue, symbol=symbol, base=base, quote=quote, kind="SPOT", **steps)


def schedule(on: Instrument, frame: str = "1m") -> Schedule:
    """A strategy that is due on it."""
    strategy = Strategy.objects.create(slug=f"due-{on.pk}-{frame}", name="due")
    version = StrategyVersion.objects.create(
        strategy=strategy, number=1, source="", content_hash="", history=1, state="PUBLISHED"
    )
    return Schedule.objects.create(version=version, instrument=on, timeframe=frame)


def story(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test that is a coroutine, in a loop of its own on the thread whose transaction is rolled back."""

    @wraps(test)
    def told() -> None:
        here = connections[DEFAULT_DB_ALIAS]

        async def on_it() -> None:
            connections[DEFAULT_DB_ALIAS] = here
            await test()

        asyncio.run(on_it())

    del told.__wrapped__  # type: ignore[attr-defined]  # pytest would take it for a coroutine
    return told


async def until(true: Callable[[], bool], what: str = "it", within: float = 5.0) -> None:
    """Wait for something to come true."""
    deadline = asyncio.get_running_loop().time() + within
    while not true():
        assert asyncio.get_running_loop().time() < deadline, f"waited for {what}"
        await asyncio.sleep(0.002)


async def at_once(function: Callable[[], Any]) -> Any:
    """The database, on the loop's own thread and behind the test's own door."""
    return function()


@dataclass
class World:
    """`said` counts what the server has said on the present connection and before."""

    server: FeedServer
    client: FeedClient
    clock: ReplayClock
    service: MarketService
    instruments: dict[str, Instrument]
    ran: list[datetime] = field(default_factory=list)

    async def at(self, moment: datetime) -> None:
        """Let it be that time, and the service go round."""
        self.clock.advance_to(moment)
        await self.turn()

    async def turn(self) -> None:
        """One round of the service, what it asks of history, and what the run stage claims after it."""
        await self.service.turn()
        for _ in range(40):
            await asyncio.sleep(0.001)
        await self.service.turn()
        won = claim(ENGINE, self.clock.now())
        self.ran += [run.candle_close for run in won]

    async def say(self, **words: Any) -> None:
        """The server says something, and it has arrived."""
        before = self.client.heard
        await self.server.say(**words)
        await until(lambda: self.client.heard > before, str(words))

    async def tells(self, told: Candle, *, closed: bool = True, symbol: str = "BTC/USD") -> None:
        """The server tells a candle."""
        await self.say(say="candle", symbol=symbol, frame="1m", candle=spoken(told), closed=closed)

    def stored(self, symbol: str = "BTC/USD", frame: str = "1m") -> list[tuple[int, Decimal, bool]]:
        """What is stored: minutes after noon, close, and whether it is synthetic."""
        rows = CandleRow.objects.filter(instrument=self.instruments[symbol], timeframe=frame).order_by("close_time")
        return [(round((row.close_time - NOON) / MINUTE), row.close, row.is_synthetic) for row in rows]

    def feed(self, symbol: str = "BTC/USD") -> Feed:
        """How its feed says that it stands."""
        return Feed.objects.get(instrument=self.instruments[symbol])

    def source(self) -> FeedSource:
        """How the source says that it stands."""
        return FeedSource.objects.get(code=self.client.code)

    async def shown(self) -> None:
        """Have the feeds' rows written."""
        self.service.due_now("rows")
        await self.service.turn()

    def runs(self) -> list[datetime]:
        """All runs that there are, in order: each candle once at the most."""
        return list(StrategyRun.objects.order_by("candle_close").values_list("candle_close", flat=True))

    def taken(self) -> list[datetime]:
        """The candles that a strategy was run on."""
        return list(
            StrategyRun.objects.filter(status=RunStatus.CLAIMED)
            .order_by("candle_close")
            .values_list("candle_close", flat=True)
        )


@asynccontextmanager
async def world(
    *symbols: str, silence: float = 30.0, reach: int | None = None, frames: frozenset[str] = frozenset()
) -> AsyncIterator[World]:
    """The world at noon, with a candle stored that closed then, connected."""
    forget_schedules()
    instruments = {symbol: instrument(symbol) for symbol in symbols or ("BTC/USD",)}
    for each in instruments.values():
        first = candle(0)
        numbers = {n: getattr(first, n) for n in ("open", "high", "low", "close", "volume")}
        CandleRow.objects.create(instrument=each, timeframe="1m", close_time=NOON, **numbers)
        for frame in frames | {"1m"}:
            schedule(each, frame)
    server, clock = FeedServer(), ReplayClock(NOON + SECOND)
    client = FeedClient(await server.start(), silence=silence, reach=reach)
    wanted = Wanted({symbol: (each.pk,) for symbol, each in instruments.items()}, dict.fromkeys(instruments, frames))
    service = MarketService(client, clock, at_once, ENGINE, lambda: wanted)
    here = World(server, client, clock, service, instruments)
    try:
        await service.turn()
        await until(lambda: client.heard > 0, "the first word")
        yield here
    finally:
        await service.stop()
        await server.stop()
        forget_schedules()
