"""The page of feeds: what was wrong with each is said, and what no engine feeds any more is not called live."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from signalist.clock import utc_now
from signalist.markets.feed_models import CandleCorrection, Feed, FeedSource
from signalist.markets.listing_models import InstrumentChange
from tests.cast import Cast
from tests.pages import ledger
from tests.pages.counting import asks

pytestmark = pytest.mark.django_db


def fed(count: int = 1) -> FeedSource:
    """A source with markets of which the first has seen every kind of trouble."""
    now = utc_now()
    source = FeedSource.objects.create(
        code="kraken", owner=ledger.ENGINE, held_until=now + timedelta(hours=1), standing="open", heard_at=now,
        connections=3, reconnects=2, mutes=1, checksums=4, malformed=5, ahead_ms=3000,
        last_error="checksum BTC/USD: it did not add up", last_error_at=now,
    )  # fmt: skip
    for number in range(count):
        market = ledger.instrument(f"C{number}/USD")
        Feed.objects.create(
            source=source, instrument=market, symbol="BTC/USD" if number == 0 else market.symbol, timeframe="1m",
            state="filling" if number == 0 else "live", last_candle=now - timedelta(hours=1), last_ticker=now, lag_ms=41,
            gaps=7, backfilled=4, synthetic=2, open_gaps=1, late=6, duplicates=8, corrections=9, out_of_order=10, refused=11,
        )  # fmt: skip
    CandleCorrection.objects.create(
        instrument=market, timeframe="1m", close_time=now, at=now,
        before={"close": "101", "volume": "1", "synthetic": False}, after={"close": "99", "volume": "4", "synthetic": False},
    )  # fmt: skip
    return source


def test_every_trouble_is_seen_by_every_member_and_costs_no_query_for_each_market(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert "No feed from a venue" in client.get("/markets/feeds/").content.decode()
    source = fed(2)
    with asks(8):
        page = client.get("/markets/feeds/").content.decode()
    words = ["Kraken", "joined anew 2 times, 1 because mute", "3 s apart", "it did not add up", "follows BTC/USD"]
    words += [
        "4 filled, 1 open",
        "10 prices out of order",
        "41 ms on its way",
        "overdue for",
        "Closed at 101",
        "now 99",
    ]
    assert [word for word in words if word not in page] == []
    assert page.index("filling") < page.index(">live<")  # trouble first
    market = Feed.objects.get(symbol="BTC/USD").instrument_id
    assert "Prices are those of BTC/USD at" in client.get(f"/markets/{market}/").content.decode()
    for name, before, after in (("taker_fee", "0.004", "0.0026"), ("trading", "online", "cancel_only")):
        InstrumentChange.objects.create(instrument_id=market, at=utc_now(), name=name, before=before, after=after)
    page = client.get("/markets/feeds/").content.decode()
    assert "From 0.40% to 0.26%" in page and "From Open to Cancel only" in page
    FeedSource.objects.filter(pk=source.pk).update(held_until=utc_now() - timedelta(seconds=9))
    page = client.get("/markets/feeds/").content.decode()
    assert ">live<" not in page and "not fed" in page
