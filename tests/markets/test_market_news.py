"""What a venue's stream tells of its markets: halted, cancel only, other steps. Believed within seconds, and seen."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from signalist.clock import ReplayClock
from signalist.domain.instruments import Trading
from signalist.domain.matching import Bar
from signalist.engine import real_market
from signalist.engine.market_feeds import wanted_of
from signalist.markets import listings
from signalist.markets.fragments import feed_rows
from signalist.markets.listing_models import InstrumentChange
from signalist.markets.models import Instrument
from signalist.markets.selectors import forget_instruments, instruments
from signalist.markets.service import MarketService
from signalist.venues.kraken import protocol
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.paper.matching_desk import Terms
from tenants.doors import across_tenants
from tests.markets.feed_world import ENGINE, NOON, at_once, story, until
from tests.venues.kraken_bench import LISTED
from tests.venues.kraken_server.server import Server, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' door, in the loop's own thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setattr("signalist.markets.listing_work.LOOK_EVERY", 0.02)
    forget_instruments()
    with across_tenants("tests"):
        yield
    forget_instruments()


@story
async def test_a_market_that_is_halted_is_halted_here_and_where_its_prices_are_followed_and_other_rules_are_asked_for() -> (
    None
):
    clock = ReplayClock(NOON)
    server = Server({name: dict(row) for name, row in LISTED.items()}, Terms(), protocol.TIERS["starter"], clock.now)
    followers = real_market.instruments()
    btc = next(i for i in followers if i.symbol == "BTC/USD")
    own = Instrument.objects.filter(venue="kraken", symbol="BTC/USD")

    def trading() -> str:
        return Instrument.objects.get(pk=btc.pk).trading

    async with serving(server, beat=0.02) as address:
        server.move("BTC/USD", Bar.tick(Decimal(100)), Decimal(100))
        source = KrakenMarket(Client(clock, base=address), address.replace("http", "ws") + "/v2")
        service = MarketService(source, clock, at_once, ENGINE, lambda: wanted_of("kraken"))
        try:
            await service.turn()
            await until(own.exists, "the list")
            told = ("instrument", "", 0)
            await until(lambda: any(told in each.channels for each in server.streams.all), "it is subscribed")
            assert trading() == "online" and own.get().trading == "online"
            for word, ours in (
                ("cancel_only", "cancel_only"),
                ("maintenance", "closed"),
                ("online", "online"),
                ("post_only",) * 2,
            ):
                server.streams.tell_pair("BTC/USD", status=word)
                await until(lambda ours=ours: trading() == ours, word)  # type: ignore[misc]
                assert own.get().trading == ours
            assert instruments([btc.pk])[btc.pk].spec().trading is Trading.POST_ONLY
            shown = render_to_string("regions/feed-rows.html", feed_rows())
            assert "Post only" in shown and "trading there" in shown and "From Open to Post only" in shown
            # Steps: the stream's words only say that the list is another.
            listed = next(row for row in server.listed.values() if row["wsname"] == "XBT/USD")
            listed |= {"tick_size": "0.5", "status": "post_only"}
            server.streams.tell_pair("BTC/USD", status="post_only", price_increment=0.5)
            await until(lambda: own.get().tick == Decimal("0.5"), "the list is heard anew")
            assert "price step" in render_to_string("regions/feed-rows.html", feed_rows())
        finally:
            await service.stop()
    count = InstrumentChange.objects.count()
    assert listings.keep_trading("kraken", {"BTC/USD": Trading.POST_ONLY, "NO/ONE": Trading.ONLINE}, NOON) == []
    own.update(trading="delisted")
    assert listings.keep_trading("kraken", {"BTC/USD": Trading.ONLINE}, NOON) == ["BTC/USD"], "that of the follower"
    assert own.get().trading == "delisted" and InstrumentChange.objects.count() == count + 1
