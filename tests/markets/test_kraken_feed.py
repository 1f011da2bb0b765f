"""The feed on Kraken's own messages: candles that it never calls closed, minutes that it never tells, and all prices at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest

from signalist.clock import ReplayClock
from signalist.domain.matching import Bar
from signalist.engine import real_market
from signalist.engine.market_feeds import wanted_of
from signalist.markets.models import Candle
from signalist.markets.service import MarketService
from signalist.venues.kraken import protocol
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.paper.matching_desk import Terms
from tenants.doors import across_tenants
from tests.markets.feed_world import ENGINE, MINUTE, NOON, SECOND, at_once, story, until
from tests.venues.kraken_bench import LISTED
from tests.venues.kraken_server.server import Server, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' door, in the loop's own thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with across_tenants("tests"):
        yield


@story
async def test_krakens_minutes_are_closed_in_time_and_one_without_trade_is_synthetic() -> None:
    clock = ReplayClock(NOON + SECOND)
    server = Server(LISTED, Terms(), protocol.TIERS["starter"], clock.now)
    btc = next(i for i in real_market.instruments() if i.symbol == "BTC/USD")

    def trade(price: int) -> None:
        server.move("BTC/USD", Bar.tick(Decimal(price)), Decimal(price))

    async with serving(server, beat=0.02) as address:
        trade(100)
        source = KrakenMarket(Client(clock, base=address), address.replace("http", "ws") + "/v2")
        service = MarketService(source, clock, at_once, ENGINE, lambda: wanted_of("kraken"))

        async def minute(number: int, more: int = 1) -> None:
            clock.advance_to(NOON + number * MINUTE + more * SECOND)
            for _ in range(200):  # until Kraken has named a time in the new minute, or has told why it does not
                await service.turn()
                await asyncio.sleep(0.005)
                if len(rows()) >= number:
                    break

        def rows() -> list[tuple[int, int, bool]]:
            found = Candle.objects.filter(instrument=btc, timeframe="1m", close_time__gt=NOON).order_by("close_time")
            return [(round((c.close_time - NOON) / MINUTE), int(c.close), c.is_synthetic) for c in found]

        try:
            await service.turn()
            await until(lambda: service.board.quotes.get("BTC/USD") is not None, "the first price")
            trade(105)
            await asyncio.sleep(0.05)
            await minute(1)
            assert rows() == [(1, 105, False)]
            await minute(2, 2)
            await until(lambda: len(rows()) == 2, "history was asked for the minute without trade")
            assert rows()[1] == (2, 105, True)
            trade(110)
            await asyncio.sleep(0.05)
            await minute(3)
            assert rows()[2] == (3, 110, False) and service.board.quotes["BTC/USD"].price == 110
            service.due_now("rows")
            await service.turn()
            feed = btc.feed
            feed.refresh_from_db()
            assert (feed.state, feed.synthetic, feed.refused) == ("live", 1, 0) and feed.source.standing == "open"
        finally:
            await service.stop()
