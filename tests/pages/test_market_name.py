"""Which market pages name, and which instruments stand under it: by the rows of engines and feeds, not by what the web was told."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import Settings

from signalist.clock import SystemClock, utc_now
from signalist.execution.models import EngineProcess
from signalist.markets import feed_lease
from signalist.markets.feed_models import Feed, FeedSource
from signalist.markets.models import LatestPrice
from signalist.markets.pages import shell
from tenants.doors import across_tenants
from tests.cast import Cast
from tests.markets.feed_world import instrument

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client: Client, cast: Cast, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """The list of markets, by a web process that was told nothing and has just begun."""
    settings.MARKET_NAME = ""
    client.force_login(cast.vera)

    def shown() -> str:
        monkeypatch.setattr(shell.Known, "until", float("-inf"))
        return client.get("/markets/").content.decode()

    return shown


def test_pages_name_what_is_fed_now_and_keep_apart_what_nobody_feeds(page: Callable[[], str]) -> None:
    now, engine = utc_now(), uuid.uuid4()
    with across_tenants("tests"):
        old, fed = instrument("BTC-PERP", "paper"), instrument("BTC/USD", "paper")
        LatestPrice.objects.create(instrument=old, price=Decimal(30_000), at=now - timedelta(days=2))
        LatestPrice.objects.create(instrument=fed, price=Decimal(64_000), at=now - timedelta(hours=1))
        Feed.objects.create(
            source=FeedSource.objects.create(code="kraken"), instrument=fed, symbol="BTC/USD", timeframe="1m"
        )
    assert "No live prices" in page()
    feed_lease.hold("kraken", engine, SystemClock().now())
    said = page()
    assert ">Prices of Kraken<" in said and "Synthetic" not in said
    places = [said.index(words) for words in (">BTC/USD<", "Nobody feeds these now", ">BTC-PERP<")]
    assert places == sorted(places), "an hour without a trade is not the same as an end"
    with across_tenants("tests"):
        LatestPrice.objects.filter(instrument=old).update(at=now)
        EngineProcess.objects.create(boot="other", pid=1, feeds="synthetic", started_at=now, seen_at=now)
    said = page()
    assert ">Synthetic market and prices of Kraken<" in said and "Nobody feeds these now" not in said
    feed_lease.let_go("kraken", engine)
    assert ">Synthetic market<" in page() and page().index(">BTC-PERP<") < page().index(">BTC/USD<")


def test_the_rows_are_asked_once_in_ten_seconds_and_a_name_that_was_given_stands(
    page: Callable[[], str], client: Client, settings: Settings
) -> None:
    assert "No live prices" in page()
    feed_lease.hold("kraken", uuid.uuid4(), SystemClock().now())
    assert "No live prices" in client.get("/markets/").content.decode()
    settings.MARKET_NAME = "Recorded market"
    assert "Recorded market" in page()
