"""Kraken's own wire lies: nothing is run twice or on an unfinished candle, and each lie is on the page of feeds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from signalist.markets import depth_books
from signalist.markets.depth_models import BookShot
from signalist.markets.fragments import feed_rows
from tenants.doors import across_tenants
from tests.markets.feed_world import MINUTE, NOON, story
from tests.markets.kraken_world import KrakenWorld, kraken_world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setattr("signalist.markets.book_watch.EVERY", 0.02)
    with across_tenants("tests"):
        yield


async def shown(w: KrakenWorld) -> str:
    await w.shown()
    return " ".join(render_to_string("regions/feed-rows.html", feed_rows()).split())


def candles(w: KrakenWorld, begun: int, **changed: float) -> None:
    """The stream tells the candle that began so many minutes after noon, again or otherwise than it was."""
    row = w.server.market.candle_row("BTC/USD", 1, int((NOON + begun * MINUTE).timestamp())) | changed
    w.server.streams.publish({"channel": "ohlc", "type": "update", "data": [row]})


@story
async def test_what_kraken_says_twice_out_of_order_or_wrongly_runs_nothing_again_and_is_seen() -> None:
    async with kraken_world() as w:
        w.server.faults.add("twice", "ohlc", "ticker", times=None)
        w.trade(105)
        await w.at(61)
        await w.until(lambda: w.ran == [NOON + MINUTE], "the first minute")
        w.trade(107)  # the second minute begins, and closes the first by that
        candles(w, 0)
        candles(w, 0, close=104.0)
        await w.until(lambda: (1, 104, False) in w.stored(), "what is told later is a correction")
        page = await shown(w)
        assert "Corrected lately" in page and "Closed at 105" in page

        depth_books.want(w.markets["BTC/USD"].pk, w.clock.now())
        await w.until(
            lambda: any(c[0] == "book" for each in w.server.streams.all for c in each.channels), "the book is watched"
        )
        asked, connections = len(w.server.streams.asked), w.server.streams.opened
        w.server.faults.add("corrupted", "book")
        w.trade(110)
        for connection in w.server.streams.all:
            connection.say_line("{")
        await w.until(lambda: w.service.row is not None and w.service.row.checksums == 1, "the book did not add up")
        page = await shown(w)
        assert "<dt>Order books that did not add up</dt><dd>1</dd>" in page and "checksum" in page
        assert w.service.row is not None and w.service.row.malformed >= 1
        shots = BookShot.objects.filter(instrument=w.markets["BTC/USD"]).order_by("pk")
        await w.until(lambda: shots.filter(bids__0__0__startswith="109.9").exists(), "the book is whole again")
        assert w.server.streams.asked[asked:] == [("unsubscribe", "book"), ("subscribe", "book")]
        assert w.server.streams.opened == connections, "nothing else was disturbed by it"
        assert {Decimal(quantity) for shot in shots for _, quantity in shot.bids} <= {
            Decimal(n) for n in range(1, 11)
        }, "what did not add up was never stored"

        w.server.faults.clear()
        w.server.streams.system("maintenance")
        await w.until(lambda: w.service._ear._connections["kraken/0"].standing == "maintenance", "it is told")
        await w.at(121)
        assert [minute for minute, _, _ in w.stored()] == [1] and "maintenance" in await shown(w)
        w.server.streams.system("online")
        await w.until(lambda: (2, 110, False) in w.stored(), "it goes on")
        assert w.ran == [NOON + MINUTE, NOON + 2 * MINUTE]


@story
async def test_a_trade_that_kraken_keeps_from_us_is_told_by_its_history_and_the_stream_is_joined_anew() -> None:
    async with kraken_world("BTC/USD", "ETH/USD") as w:
        w.trade(105)
        await w.at(61)
        await w.until(lambda: w.ran.count(NOON + MINUTE) == 2, "the first minute")
        for minute in (2, 3):
            if minute == 3:
                w.server.faults.add("mute", "ohlc", "ticker", times=None)
                w.trade(120)
                w.server.faults.clear()
            w.trade(51, "ETH/USD")
            await w.at(60 * minute + 1)
            await w.until(lambda m=minute: len(w.stored()) == m, f"minute {minute} is known")  # type: ignore[misc]
        assert w.stored() == [(1, 105, False), (2, 105, True), (3, 120, False)]
        await w.until(lambda: w.server.streams.opened == 2, "it is joined anew")
        feed, source = await w.shown()
        assert source.mutes == 1 and "were not told" in feed.last_error
        assert w.ran.count(NOON + 2 * MINUTE) == 1 and w.ran.count(NOON + 3 * MINUTE) <= 2
        assert feed.last_candle == NOON + timedelta(minutes=3)
