"""When one of Kraken's minutes is over: by what Kraken itself says of the time, and by no clock of ours."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from signalist.markets.fragments import feed_rows
from signalist.markets.overview import FRESH_WITHIN
from signalist.venues.kraken.market import KrakenMarket
from tenants.doors import across_tenants
from tests.markets.feed_world import MINUTE, NOON, SECOND, story
from tests.markets.kraken_world import kraken_world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with across_tenants("tests"):
        yield


@story
async def test_where_our_clock_is_ahead_krakens_minute_is_closed_when_it_is_over_there() -> None:
    async with kraken_world(ahead=-1.5) as w:
        w.trade(105)
        await w.at(60.8)  # 11:59:59.3 there
        assert w.stored() == [] and w.ran == []
        w.trade(107)
        await w.at(61.4)
        assert w.stored() == [] and w.ran == []
        await w.at(62.4)  # 0.9 s after noon there
        await w.until(lambda: w.stored() == [(1, 107, False)], "it is over there")
        feed, source = await w.shown()
        assert feed.corrections == 0
        assert -1600 < source.ahead_ms < -1000 and "ours is 1." in source.last_error
        assert "ours is ahead" in render_to_string("regions/feed-rows.html", feed_rows())


@story
async def test_a_candle_waits_for_what_is_still_on_its_way_when_its_time_is_over() -> None:
    async with kraken_world() as w:
        w.trade(105)
        await w.at(59.5)
        w.server.streams.flows.clear()
        w.trade(107)
        await w.at(61.9)
        assert w.stored() == [] and w.ran == []
        w.server.streams.flows.set()
        await w.until(lambda: w.ran == [NOON + MINUTE], "it flows")
        assert w.stored() == [(1, 107, False)]


@story
async def test_where_kraken_does_not_name_its_time_its_history_is_asked_after_a_while() -> None:
    async with kraken_world() as w:
        w.trade(105)
        w.server.faults.add("mute", "pong", times=None)
        await w.at(62.5)
        assert w.stored() == [] and w.ran == []
        minute = w.server.market.candles["BTC/USD", 1][int(NOON.timestamp())]
        minute[1] = minute[3] = Decimal(109)  # the stream has kept a trade from us
        await w.at(64)
        await w.until(lambda: w.stored() == [(1, 109, False)], "history says how it closed")


@story
async def test_where_our_clock_is_late_krakens_minute_waits_for_ours() -> None:
    async with kraken_world(ahead=4.0) as w:
        w.trade(105)
        await w.at(59)  # three seconds past the minute there
        assert w.stored() == []
        w.trade(200)
        await w.at(59.5)
        assert w.stored() == []
        await w.at(60.8)
        assert w.stored() == [(1, 105, False)] and w.ran == [NOON + MINUTE]
        _, source = await w.shown()
        assert source.ahead_ms > 1000 and "behind" in source.last_error


@story
async def test_what_history_shows_as_running_is_no_candle_whatever_our_clock_says() -> None:
    async with kraken_world("BTC/USD", "ETH/USD", ahead=-0.4, later="ETH/USD") as w:
        source = w.service.source
        assert isinstance(source, KrakenMarket)
        await w.at(60.3)  # 12:00:59.9 there
        source.client.venue_time(w.clock.now())  # it notices that our clock was moved
        second = NOON.timestamp() + 59  # an answer that named a second which had just begun
        source.client._venue_clock.heard(second + 0.4, second + 0.4, second, 1.0)
        # For all that the answers say, it may be 12:01 there:
        assert source.client.venue_time(w.clock.now()) > NOON + MINUTE
        await w.also("ETH/USD")
        await w.until(lambda: w.server.asked.count("OHLC") == 2, "its past was asked for")
        await w.turn()
        w.trade(107, "ETH/USD")
        await w.at(61.4)
        await w.until(lambda: w.stored("ETH/USD") != [], "the minute is over")
        assert w.stored("ETH/USD") == [(1, 107, False)]
        feed, _ = await w.shown("ETH/USD")
        assert feed.corrections == 0


@story
async def test_a_minute_that_history_tells_without_a_trade_is_synthetic_and_runs_nothing() -> None:
    async with kraken_world() as w:
        w.trade(105)
        await w.at(61)
        await w.until(lambda: w.ran == [NOON + MINUTE], "the first minute")
        begun = int(NOON.timestamp()) + 60
        w.server.market.candles["BTC/USD", 1][begun] = [Decimal(105)] * 4 + [Decimal(0)]
        await w.at(121)
        await w.until(lambda: len(w.stored()) == 2, "history was asked for the second minute")
        await w.turn()
        assert w.stored() == [(1, 105, False), (2, 105, True)] and w.ran == [NOON + MINUTE]


@story
async def test_a_price_that_krakens_answers_repeat_is_as_old_as_it_was_until_somebody_trades() -> None:
    async with kraken_world() as w:
        quotes, asking = w.service.board.quotes, w.service.asking
        assert quotes["BTC/USD"].at < NOON - FRESH_WITHIN  # what stood when the stream began may be hours old
        w.trade(100)
        await w.until(lambda: quotes["BTC/USD"].at == w.clock.now(), "the trade is told")
        traded_at, asking.batch.kept = w.clock.now(), 0.0
        await w.server.streams.end()
        for seconds in (15, 25, 35):
            await w.at(seconds)
            await asking.ask(["BTC/USD"])
            assert quotes["BTC/USD"].at == traded_at
        w.trade(100)  # at the same price: the count says it
        await w.at(45)
        await asking.ask(["BTC/USD"])
        assert quotes["BTC/USD"].at >= NOON + 35 * SECOND
