"""All prices in one request: kept for a while, from another source where one fails, and each source's successes counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from signalist.markets.batch_prices import BatchPrices
from signalist.markets.feed_status import sources as sources_shown
from signalist.markets.fragments import feed_rows
from signalist.markets.models import FxRate, LatestPrice
from signalist.markets.selectors import rate
from tenants.doors import across_tenants
from tests.markets.feed_world import MINUTE, NOON, story, until, world
from tests.markets.loopback_feed import FeedClient, FeedServer

SYMBOLS = [f"C{number}/USD" for number in range(153)]


@asynccontextmanager
async def sources(count: int) -> AsyncIterator[tuple[list[FeedServer], list[FeedClient]]]:
    servers = [FeedServer() for _ in range(count)]
    clients = [FeedClient(await server.start(), code=f"source-{n}") for n, server in enumerate(servers)]
    try:
        yield servers, clients
    finally:
        for client in clients:
            await client.close()
        for server in servers:
            await server.stop()


async def test_153_prices_are_one_request_which_others_share_and_another_source_fills_in() -> None:
    async with sources(2) as ((first, second), clients):
        first.prices = dict.fromkeys(SYMBOLS[:150], Decimal(7))
        second.prices = dict.fromkeys(SYMBOLS, Decimal(8))
        batch = BatchPrices(clients)
        several = await asyncio.gather(*(batch.prices(SYMBOLS) for _ in range(5)))
        assert (first.asked, second.asked) == (1, 1)
        assert [len(each.tickers) for each in several] == [153] * 5 and not several[0].missing
        assert several[0].of[SYMBOLS[0]] == "source-0" and several[0].of[SYMBOLS[152]] == "source-1"
        assert batch.successes["source-0"].rate == pytest.approx(150 / 153)
        assert batch.successes["source-0"].last_ms < 500
        batch.kept, first.is_away = 0.0, True
        said = await batch.prices(SYMBOLS)
        assert set(said.of.values()) == {"source-1"} and batch.successes["source-0"].failed == 1
        second.is_away = True
        assert (await batch.prices(SYMBOLS)).missing == set(SYMBOLS)


@pytest.fixture
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' door, in the loop's own thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setattr("signalist.markets.asking.EVERY", 0.05)
    with across_tenants("tests"):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("door")
@story
async def test_a_feed_whose_stream_is_away_goes_on_by_asking() -> None:
    async with world("BTC/USD", "USDT/USD") as w:
        w.server.prices |= {"BTC/USD": Decimal(77), "USDT/USD": Decimal("0.9995")}
        w.server.streams_not, w.service.asking.batch.kept = True, 0.0
        quotes = w.service.board.quotes
        assert not quotes
        await w.server.drop()
        await until(lambda: len(quotes) == 2, "the prices are asked for")
        assert quotes["BTC/USD"].price == 77
        # Nobody says when that was: it may be hours ago, and only what moves between two answers is new.
        assert quotes["BTC/USD"].at < NOON - timedelta(hours=1)
        w.server.prices["USDT/USD"] = Decimal("0.9996")
        await until(lambda: quotes["USDT/USD"].price == Decimal("0.9996"), "it moves")
        assert quotes["USDT/USD"].at == w.clock.now() and quotes["BTC/USD"].at < NOON - timedelta(hours=1)
        for _ in range(2):
            w.service.due_now("rates")
            await w.service.turn()
        assert (
            rate("USDT", "USD", NOON) == Decimal("0.9996") and FxRate.objects.count() == 1
        )  # money for money, once an hour
        await w.shown()
        asked = w.source().price_sources.get()
        assert (asked.code, asked.last_asked, asked.last_got, asked.failed) == ("loop", 2, 2, 0) and asked.requests >= 1
        assert w.feed().last_ticker is not None and (w.feed().state, w.feed().price_from) == ("lost", "loop")
        # The venue has banned us: another source is asked, and where that fails, too, what is stored stands, as stale and as no news.
        before = w.feed("USDT/USD").last_ticker
        other = FeedServer()
        second = FeedClient(await other.start(), code="other")
        other.prices, w.server.is_away = {"BTC/USD": Decimal(78)}, True
        w.service.asking.batch.sources = [w.client, second]
        w.service.asking.begin(w.source())
        w.clock.advance_to(NOON + MINUTE)
        await until(lambda: quotes["BTC/USD"].price == 78, "the other source is asked")
        await w.shown()
        assert (w.feed().price_from, w.feed("USDT/USD").price_from) == ("other", "stored")
        other.is_away = True
        await until(lambda: w.service.markets["BTC/USD"].price_from == "stored", "nobody tells a price")
        await w.shown()
        assert quotes["BTC/USD"].price == 78 and before is not None and w.feed("USDT/USD").last_ticker == before
        (one, two) = sources_shown(w.clock.now())[0].asked
        assert (one.row.code, two.row.code) == ("loop", "other") and one.row.last_error and one.row.got >= 2
        assert one.answered is not None and one.answered < 1 and two.told is not None and 0 < two.told < 1
        shown = render_to_string("regions/feed-rows.html", feed_rows())
        assert "stale, as stored" in shown and "Asked after that" in shown
        other.is_away = False
        await until(lambda: w.service.markets["BTC/USD"].price_from == "other", "it is asked again")
        await w.shown()
        assert "asked of Other" in render_to_string("regions/feed-rows.html", feed_rows())
        # Another engine had the feed for a while, and asked: what it has counted stays counted.
        w.source().price_sources.filter(code="other").update(requests=1000, asked=5000)
        w.service.asking.begin(w.source())
        counts = w.service.asking.batch.successes["other"]
        before_that = counts.asked
        await until(lambda: counts.asked > before_that, "it is asked")
        await w.shown()
        others = w.source().price_sources.get(code="other")
        assert 1000 < others.requests < 1100 and 5000 < others.asked < 5200
        await second.close()
        await other.stop()


@pytest.mark.django_db
@pytest.mark.usefixtures("door")
@story
async def test_a_price_that_is_stored_grows_no_older_because_its_source_names_no_time() -> None:
    async with world("BTC/USD", "ETH/USD") as w:
        made = NOON - timedelta(seconds=5)
        for symbol in ("BTC/USD", "ETH/USD"):
            LatestPrice.objects.create(instrument=w.instruments[symbol], price=Decimal(77), at=made)
        w.server.prices |= {"BTC/USD": Decimal(77), "ETH/USD": Decimal(78)}
        w.server.streams_not, w.service.asking.batch.kept = True, 0.0
        # As an engine that begins anew: nothing is in its memory, and the stream is not there yet.
        await w.server.drop()
        await w.service._lose()
        w.service.due_now("wanted")
        await w.service.turn()
        await until(lambda: w.service.asking.batch.successes["loop"].got >= 4, "the prices are asked for")
        w.service.due_now("prices")
        await w.service.turn()
        stored = {
            row.instrument.symbol: (row.price, row.at) for row in LatestPrice.objects.select_related("instrument")
        }
        # Somebody has traded ETH since, at another price, nobody says when.
        assert stored == {"BTC/USD": (Decimal(77), made), "ETH/USD": (Decimal(78), made)}
