"""The synthetic market's feed: what it stores, and how it goes on after a stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, transaction

from signalist.domain.synthetic import TEN_SECONDS
from signalist.events.models import Event
from signalist.markets.models import Candle, Instrument, LatestPrice
from signalist.markets.synthetic import LONGEST_GAP, PROFILES, SyntheticFeed, instruments
from tenants.doors import across_tenants
from tests.engine.outages import outage

pytestmark = pytest.mark.django_db

NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def door(db: None) -> Iterator[None]:
    """Events have a tenant column, so that their writer stands behind a door."""
    with across_tenants("tests"):
        yield


def fed(feed: SyntheticFeed, until: datetime) -> int:
    """Ask `feed` until it has told everything up to `until`; how many steps that took."""
    steps = 1
    while not feed.advance(until):
        steps += 1
    return steps


def stored() -> list[tuple[object, ...]]:
    """All candles, in order."""
    fields = ("instrument__symbol", "timeframe", "close_time", "open", "high", "low", "close", "volume")
    return list(Candle.objects.order_by("instrument__symbol", "timeframe", "close_time").values_list(*fields))


def test_the_instruments_are_made_once_each_with_a_pair() -> None:
    first = {symbol: instrument.pk for symbol, instrument in instruments().items()}
    assert {symbol: instrument.pk for symbol, instrument in instruments().items()} == first
    found = Instrument.objects.select_related("pair")
    assert {i.symbol for i in found} == {"NOVA/USD", "LUMA/USD", "TEMPO-100", "AUR/USD"}
    assert all(i.pair is not None and i.quote == "USD" and i.spec().can_short for i in found)


def test_a_market_without_a_past_begins_now_and_has_a_price_at_once() -> None:
    SyntheticFeed().advance(NOON + 3 * SECOND)
    assert stored() == []
    prices = dict(LatestPrice.objects.values_list("instrument__symbol", "price"))
    for profile in PROFILES:
        assert abs(prices[profile.spec.symbol] / profile.level - 1) < 0.02
    assert set(LatestPrice.objects.values_list("at", flat=True)) == {NOON + 3 * SECOND}


def test_every_close_is_stored_with_the_price_that_it_closed_at() -> None:
    feed = SyntheticFeed()
    feed.advance(NOON)
    for second in range(1, 61):
        feed.advance(NOON + second * SECOND)
    assert Counter(code for _, code, *_ in stored()) == {"10s": 24, "1m": 4}
    last = {c.instrument_id: c.close for c in Candle.objects.filter(close_time=NOON + 60 * SECOND, timeframe="1m")}
    assert dict(LatestPrice.objects.values_list("instrument_id", "price")) == last
    assert Event.objects.filter(kind="candle_closed").count() == 28


def test_asked_again_in_the_same_second_it_writes_nothing(django_assert_num_queries: object) -> None:
    feed = SyntheticFeed()
    feed.advance(NOON + 5 * SECOND)
    with django_assert_num_queries(0):  # type: ignore[operator]
        feed.advance(NOON + 5 * SECOND)


def test_what_was_missed_in_a_stop_is_made_as_if_there_had_been_none() -> None:
    feed = SyntheticFeed()
    feed.advance(NOON)
    fed(feed, NOON + timedelta(minutes=2, seconds=17))
    steps = fed(SyntheticFeed(), NOON + timedelta(minutes=17))
    assert steps == 3, "a long gap is filled in steps of five minutes, so that no transaction is long"
    stopped = stored()
    Candle.objects.all().delete()
    unstopped = SyntheticFeed()
    unstopped.advance(NOON)
    fed(unstopped, NOON + timedelta(minutes=17))
    assert stored() == stopped
    assert len(stopped) == 4 * (17 * 6 + 17)


def test_a_feed_that_forgets_goes_on_from_what_another_has_stored() -> None:
    first, second = SyntheticFeed(), SyntheticFeed()
    first.advance(NOON)
    second.advance(NOON)
    fed(second, NOON + timedelta(minutes=1))
    first.forget()
    fed(first, NOON + timedelta(minutes=2))
    times = Candle.objects.filter(timeframe="10s", instrument__symbol="AUR/USD").order_by("close_time")
    closes = list(times.values_list("close_time", flat=True))
    assert closes == [NOON + n * TEN_SECONDS.length for n in range(1, 13)]


def test_candles_that_could_not_be_stored_are_stored_when_it_is_asked_again() -> None:
    feed = SyntheticFeed()
    feed.advance(NOON)
    with outage("markets_candle"), pytest.raises(OperationalError), transaction.atomic():
        feed.advance(NOON + 11 * SECOND)
    assert stored() == []
    assert feed.advance(NOON + 11 * SECOND)
    assert {close for _, _, close, *_ in stored()} == {NOON + 10 * SECOND}
    assert len(stored()) == len(PROFILES)


def test_a_machine_that_slept_for_more_than_a_day_does_not_fill_the_time() -> None:
    feed = SyntheticFeed()
    feed.advance(NOON)
    fed(feed, NOON + timedelta(minutes=1))
    woken = NOON + 3 * LONGEST_GAP
    assert feed.advance(woken), "there is nothing more to do at once"
    assert feed.advance(woken + 10 * SECOND)
    assert {c.close_time for c in Candle.objects.filter(close_time__gt=NOON + timedelta(minutes=1))} == {
        woken + 10 * SECOND
    }


def test_after_more_than_a_day_it_begins_anew_where_it_stopped() -> None:
    feed = SyntheticFeed()
    feed.advance(NOON)
    fed(feed, NOON + timedelta(minutes=1))
    before = dict(LatestPrice.objects.values_list("instrument__symbol", "price"))
    later = NOON + timedelta(minutes=1) + LONGEST_GAP + 10 * SECOND
    late = SyntheticFeed()
    fed(late, later)
    assert dict(LatestPrice.objects.values_list("instrument__symbol", "price")) == before
    fed(late, later + 10 * SECOND)
    after = Candle.objects.filter(close_time__gt=NOON + timedelta(minutes=1))
    assert {(c.instrument.symbol, c.open, c.close_time) for c in after.select_related("instrument")} == {
        (symbol, price, later + 10 * SECOND) for symbol, price in before.items()
    }
