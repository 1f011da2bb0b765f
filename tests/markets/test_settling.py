"""What is stored of closed candles: higher timeframes of complete ones only, corrections carried upward, so many queries for any number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from signalist.domain.timeframes import timeframe
from signalist.engine.market_feeds import wanted_of
from signalist.events.models import Event
from signalist.markets import feed_books, feed_lease
from signalist.markets.feed_models import CandleCorrection, Feed
from signalist.markets.models import Candle, Instrument
from signalist.markets.settling import Told, settle_candles
from signalist.markets.sight import sights
from tenants.doors import across_tenants
from tests.markets.feed_world import ENGINE, MINUTE, NOON, candle, instrument, schedule

pytestmark = pytest.mark.django_db
ONE = timeframe("1m")


@pytest.fixture(autouse=True)
def door(db: None) -> Iterator[None]:
    """Events have a tenant column, so that their writer stands behind a door."""
    with across_tenants("tests"):
        yield


def told(on: Instrument, *minutes: int, invented: bool = False, price: int = 0) -> list[Told]:
    return [Told(on.pk, ONE, candle(minute, price or 100 + minute), invented) for minute in minutes]


def higher(code: str) -> list[tuple[int, int, int, int, int, bool]]:
    """Candles of that timeframe: minutes after noon, open, high, low, close, synthetic."""
    found = Candle.objects.filter(timeframe=code).order_by("close_time")
    return [
        (round((c.close_time - NOON) / MINUTE), int(c.open), int(c.high), int(c.low), int(c.close), c.is_synthetic)
        for c in found
    ]


def test_a_higher_candle_is_made_of_all_its_parts_and_of_nothing_less() -> None:
    btc = instrument("BTC/USD")
    settle_candles(told(btc, 1, 2, 4, 5), (), NOON)
    assert higher("5m") == []
    settle_candles(told(btc, 3, invented=True, price=102), (), NOON)
    assert higher("5m") == [(5, 101, 106, 100, 105, False)]
    settle_candles(told(btc, *range(6, 16)), (), NOON)
    assert [row[0] for row in higher("5m")] == [5, 10, 15]
    assert higher("15m") == [(15, 101, 116, 100, 115, False)]
    # A correction is carried upward, recorded at each level, and told as that and never as a close.
    before = Event.objects.filter(kind="candle_closed").count()
    settle_candles(told(btc, 7, price=500), (), NOON)
    assert higher("15m") == [(15, 101, 501, 100, 115, False)] and higher("5m")[1][2] == 501
    assert sorted(CandleCorrection.objects.values_list("timeframe", flat=True)) == ["15m", "1m", "5m"]
    assert Event.objects.filter(kind="candle_closed").count() == before
    # What was invented gives way to what is told; never the other way round.
    settle_candles(told(btc, 3, price=103), (), NOON)
    settle_candles(told(btc, 4, invented=True, price=9), (), NOON)
    assert not Candle.objects.filter(is_synthetic=True).exists()
    assert Candle.objects.get(close_time=NOON + 4 * MINUTE, timeframe="1m").close == 104


def test_a_higher_candle_of_invented_parts_alone_is_invented_and_nobodys_price() -> None:
    btc = instrument("BTC/USD")
    settle_candles(told(btc, 0), (), NOON)
    settle_candles(told(btc, *range(1, 6), invented=True, price=100), (), NOON)
    assert higher("5m") == [(5, 100, 101, 99, 100, True)]
    sight = sights([btc.pk])[btc.pk]
    assert sight.at == NOON  # stale is stale, however long time goes on without a trade


def test_it_takes_as_many_queries_for_many_markets_as_for_one(django_assert_max_num_queries: Any) -> None:
    markets = [instrument(f"C{number}/USD") for number in range(8)]
    for some in (markets[:1], markets[1:]):
        settle_candles([t for on in some for t in told(on, 1, 2, 3, 4)], (), NOON)
        with django_assert_max_num_queries(9):
            settle_candles([t for on in some for t in told(on, 5)], (), NOON)
    assert len(higher("5m")) == 8


def test_a_feed_is_held_by_one_engine_until_it_is_silent(django_assert_num_queries: Callable[..., Any]) -> None:
    other = ENGINE.__class__(int=8)
    first = feed_lease.hold("loop", ENGINE, NOON)
    assert first is not None and feed_lease.hold("loop", other, NOON + timedelta(seconds=5)) is None
    assert feed_lease.hold("loop", ENGINE, NOON + timedelta(seconds=6)) == first
    second = feed_lease.hold("loop", other, NOON + timedelta(seconds=15))
    assert second is not None and second > first  # the number fences what the first one might still write
    assert feed_lease.hold("loop", ENGINE, NOON + timedelta(seconds=16)) is None
    feed_lease.let_go("loop", other)
    assert feed_lease.hold("loop", ENGINE, NOON + timedelta(seconds=17)) is not None


def test_what_is_fed_are_the_sources_own_instruments_and_those_that_follow_it() -> None:
    own, paper, asleep = instrument("ETH/USD"), instrument("BTC-PLAY", "paper"), instrument("OLD/USD")
    Instrument.objects.filter(pk=asleep.pk).update(is_active=False)
    Feed.objects.create(source=feed_books.source_of("loop"), instrument=paper, symbol="BTC/USD", timeframe="1m")
    schedule(paper, "1h")
    wanted = wanted_of("loop")
    assert wanted.routes == {"BTC/USD": (paper.pk,), "ETH/USD": (own.pk,)}
    assert wanted.frames == {"BTC/USD": frozenset({"1h"})}
    begun = feed_books.begin(feed_books.source_of("loop"), {own.pk: "ETH/USD"}, ONE)
    assert set(begun) == {own.pk} and not Feed.objects.get(instrument=paper).is_active
