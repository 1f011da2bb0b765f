"""Holes of a feed: none is given up while its venue may still know, and none keeps another one open."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.markets import filling
from signalist.markets.feed_models import FeedSource
from signalist.markets.models import Candle as CandleRow
from tenants.doors import across_tenants
from tests.markets.feed_world import MINUTE, NOON, SECOND, candle, story, until, world
from tests.markets.kraken_world import kraken_world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setattr(filling, "pause", lambda tries, who: 0.001 * min(tries, 5))
    with across_tenants("tests"):
        yield


@story
async def test_a_hole_is_asked_for_until_history_answers_however_long_that_takes() -> None:
    async with world("BTC/USD", "ETH/USD") as w:
        w.server.past["BTC/USD", "1m"] = [candle(1, 101)]
        w.server.past["ETH/USD", "1m"] = [candle(1, 51)]
        history, failed = w.client.history, 0

        async def counted(*words: object) -> object:
            nonlocal failed
            try:
                return await history(*words)  # type: ignore[arg-type]
            except Exception:
                failed += 1
                raise

        w.client.history = counted  # type: ignore[assignment,method-assign]
        w.server.is_away = True
        await w.server.drop()
        w.clock.advance_to(NOON + 2 * MINUTE + 2 * SECOND)
        for line in w.service.lines().values():
            await until(lambda line=line: not line.is_open, "the stream is away")  # type: ignore[misc]
        w.server.is_away = False
        await until(lambda: w.server.joined == 2, "the stream is back")
        w.server.is_away = True
        await w.turn()
        await until(lambda: failed >= 25, "history is away for long")
        await w.shown()
        assert "history" in w.feed().last_error and w.feed().open_gaps == 2
        w.server.is_away = False
        for symbol, price in (("BTC/USD", 101), ("ETH/USD", 51)):
            await until(lambda s=symbol, p=price: (1, p, False) in w.stored(s), "it is filled")  # type: ignore[misc]


@story
async def test_a_hole_that_was_left_open_is_asked_for_when_the_feed_begins_anew() -> None:
    async with world() as w:
        FeedSource.objects.update(owner=uuid.UUID(int=8), held_until=NOON + timedelta(hours=1))
        w.service.due_now("lease")
        await w.service.turn()
        numbers = {name: getattr(candle(1, 104), name) for name in ("open", "high", "low", "close", "volume")}
        for minute in (3, 4):
            close = NOON + minute * MINUTE
            CandleRow.objects.create(instrument=w.instruments["BTC/USD"], timeframe="1m", close_time=close, **numbers)
        FeedSource.objects.update(owner=None, held_until=None)
        w.server.past["BTC/USD", "1m"] = [candle(1, 101)]
        w.clock.advance_to(NOON + 4 * MINUTE + 30 * SECOND)
        w.service.due_now("lease")
        w.service.due_now("wanted")
        await w.service.turn()
        await until(lambda: len(w.stored()) == 5, "the hole is filled")
        assert w.stored()[1:3] == [(1, 101, False), (2, 101, True)]


@story
async def test_a_row_that_cannot_be_read_costs_itself_alone_and_is_asked_for_again() -> None:
    async with kraken_world() as w:
        w.trade(105)
        await w.at(61)
        await w.until(lambda: w.stored() == [(1, 105, False)], "the first minute")
        rows, begun = w.server.market.candles["BTC/USD", 1], int(NOON.timestamp()) + 60
        rows[begun] = [Decimal(n) for n in (103, 99, 103, 103, 1)]  # its high is under its low
        await w.at(121)
        await w.until(lambda: "could not be read" in w.service.markets["BTC/USD"].error, "history has told it")
        feed, _ = await w.shown()
        assert w.stored() == [(1, 105, False)] and feed.open_gaps == 1
        rows[begun] = [Decimal(n) for n in (103, 104, 102, 103, 1)]
        await w.until(lambda: (2, 103, False) in w.stored(), "it is asked for again")
