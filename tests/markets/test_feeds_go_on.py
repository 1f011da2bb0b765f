"""A feed goes on: after another engine had its lease, while other markets join it, and where one of its works breaks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from signalist.markets import asking, feed_books, side_work
from signalist.markets.feed_models import Feed, FeedSource
from signalist.markets.models import Candle as CandleRow
from signalist.markets.models import LatestPrice
from signalist.markets.settling import Outcome
from signalist.markets.tracking import Series
from signalist.markets.wanted import BASE, Wanted
from signalist.markets.watching import Market
from signalist.venues.market_data import Ticker
from tenants.doors import across_tenants
from tests.markets.feed_world import MINUTE, NOON, SECOND, World, candle, instrument, story, until, world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with across_tenants("tests"):
        yield


def lease_of(owner: uuid.UUID | None) -> None:
    """The lease is somebody's for an hour, or nobody's."""
    FeedSource.objects.update(owner=owner, held_until=NOON + timedelta(hours=1) if owner else None)


@story
async def test_an_engine_that_has_its_lease_again_feeds_again_from_what_is_stored() -> None:
    async with world() as w:
        lease_of(uuid.UUID(int=8))
        w.service.due_now("lease")
        await w.service.turn()
        numbers = {name: getattr(candle(1, 101), name) for name in ("open", "high", "low", "close", "volume")}
        CandleRow.objects.create(
            instrument=w.instruments["BTC/USD"], timeframe="1m", close_time=NOON + MINUTE, **numbers
        )
        lease_of(None)
        w.service.due_now("lease")
        w.service.due_now("wanted")
        w.clock.advance_to(NOON + 2 * MINUTE + SECOND)
        await w.service.turn()
        await until(lambda: w.server.joined == 2, "it listens again")
        await w.tells(candle(2, 102))
        await w.turn()
        assert w.stored() == [(0, 100, False), (1, 101, False), (2, 102, False)]
        await w.shown()
        assert w.feed().gaps == 0, "the other engine had that one"


@story
async def test_a_hole_that_is_being_filled_while_another_market_joins_is_filled_after_it() -> None:
    async with world() as w:
        w.server.past["BTC/USD", "1m"] = [candle(1, 101)]
        asked, history = asyncio.Event(), w.client.history

        async def slow(*words: Any) -> Any:
            if not asked.is_set():
                asked.set()
                await asyncio.Event().wait()
            return await history(*words)

        w.client.history = slow  # type: ignore[method-assign]
        w.clock.advance_to(NOON + 2 * MINUTE + 10 * SECOND)
        await w.tells(candle(2, 102))
        await w.service.turn()
        await asyncio.wait_for(asked.wait(), 5)
        await joined(w, "ETH/USD")
        await until(lambda: (1, 101, False) in w.stored(), "the hole is filled")


async def joined(w: World, symbol: str) -> None:
    """Another market is fed from now on."""
    w.instruments[symbol] = instrument(symbol)
    routes = {name: (each.pk,) for name, each in w.instruments.items()}
    w.service._wanted = lambda: Wanted(routes)
    w.service.due_now("wanted")
    await w.service.turn()


@story
async def test_a_work_that_breaks_is_begun_anew_and_ends_nothing_else() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "EVERY", 0.01)
        patch.setattr(side_work, "AGAIN", 0.01)
        async with world() as w:
            tickers, broken = w.client.tickers, asyncio.Event()

            async def breaks(symbols: Any = None) -> Mapping[str, Ticker]:
                if not broken.is_set():
                    broken.set()
                    raise KeyError("altname")
                return await tickers(symbols)

            w.client.tickers, w.service.asking.batch.kept = breaks, 0.0  # type: ignore[method-assign]
            w.server.streams_not, w.server.prices["BTC/USD"] = True, candle(0, 99).close
            await w.server.drop()
            await until(lambda: "BTC/USD" in w.service.board.quotes, "prices are asked for again")
            assert broken.is_set()
            await joined(w, "ETH/USD")  # nor does what had broken end the next round


@story
async def test_a_number_that_no_database_holds_is_refused_or_rounded_and_ends_no_feed() -> None:
    async with world() as w:
        for price in ("0.123456789012", "1E+30", "0.00000000001"):
            await w.say(say="ticker", symbol="BTC/USD", price=price, at=(NOON + SECOND).isoformat())
        await w.tells(candle(1, 101, "1E+40"), closed=False)
        w.service.due_now("prices")
        await w.service.turn()
        assert LatestPrice.objects.get().price == Decimal("0.123456789")
        w.clock.advance_to(NOON + MINUTE + SECOND)
        await w.tells(candle(1, 102))
        await w.turn()
        await w.shown()
        assert w.stored()[-1] == (1, 102, False) and w.feed().refused == 3


def test_minutes_without_trade_before_a_feed_began_make_up_for_no_gap_of_it() -> None:
    market = Market.of("BTC/USD", [Feed(instrument_id=1)], Series(BASE))
    before, missed = Outcome(), Outcome()
    before.invented[1], missed.invented[1] = 50, 1
    market.settled(before, filled=True, past=True)
    market.settled(missed, filled=True)
    market.series.counts.gaps = 3
    (feed,) = market.news("open", NOON, waits=False)
    assert (feed.gaps, feed.synthetic, feed.open_gaps) == (3, 1, 2)


@story
async def test_what_a_venue_says_fits_into_the_rows_of_its_feed_whatever_it_is() -> None:
    async with world() as w:
        await w.say(say="ticker", symbol="BTC/USD", price="100", at="0001-01-01T00:00:00+00:00")
        await w.say(say="trouble", kind="refused", symbol="BTC/USD", why="no \x00 such \ud800 market")
        await w.turn()
        await w.shown()
        feed, source = w.feed(), w.source()
        assert feed.lag_ms == feed_books.LARGEST_WHOLE and "no   such   market" in feed.last_error
        assert "no   such   market" in source.last_error
        await w.say(say="ticker", symbol="BTC/USD", price="100", at="9999-12-31T00:00:00+00:00")
        await w.shown()
        assert w.source().ahead_ms == feed_books.LARGEST_WHOLE
