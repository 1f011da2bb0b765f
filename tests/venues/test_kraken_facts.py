"""What is Kraken's own about who asks: the tier that its stream names, one counter for an address, and a key that comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from pytest_django import Settings

from signalist.accounts.connectors import connectors
from signalist.clock import SystemClock, monotonic
from signalist.engine import real_market
from signalist.engine.supplies import VenueMemory
from signalist.venues.facts import TellsFacts
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.kraken.protocol import TIERS, carefully
from signalist.venues.kraken.venue import KrakenVenue
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.ledger import Draw
from tests.venues.battery import BUY, SELL, Traded, request
from tests.venues.kraken_bench import SPOT, KrakenBench, served
from tests.venues.loopback_bench import until

D = Decimal
KEY = {"api_key": "key-1", "api_secret": "c2VjcmV0", "currency": "USD"}


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KrakenBench]:
    monkeypatch.setattr(Traded, "symbol", SPOT.symbol)
    async with served(tier=TIERS["intermediate"]) as bench:
        bench.venue.client.tier = TIERS["starter"]
        yield bench


async def test_an_accounts_tier_is_the_lowest_until_its_stream_names_another(bench: KrakenBench) -> None:
    session, client = bench.account(), bench.venue.client
    assert isinstance(session, TellsFacts)
    before = await session.facts()
    assert before.tier == "starter, until Kraken says another"
    assert "no margin" in before.margin and before.problem == ""
    await session.place(request(BUY, "1"))
    signer = session._signer  # type: ignore[attr-defined]
    bucket = client.orders_bucket(signer, SPOT.symbol)
    session.listen(lambda: None)
    await until(lambda: client.is_told_tier(signer))
    assert (await session.facts()).tier == "intermediate"
    await session.place(request(SELL, "1"))
    known, most = client.ledger._buckets[bucket], carefully(TIERS["intermediate"].orders)
    assert known.budget == most and known.level(monotonic()) < most.size - 1, "what was used stays used"


async def test_an_account_that_comes_back_to_an_engine_goes_on_above_what_the_other_took(bench: KrakenBench) -> None:
    first = bench.account()
    await first.balance()
    await first.close()
    other = bench.elsewhere()
    await other.balance()
    await other.close()
    back = bench.venue.open("account-1")
    await back.place(request(BUY, "1"))
    assert "EAPI:Invalid nonce" not in bench.server.refused


async def test_the_feed_and_the_accounts_of_an_engine_count_one_address(settings: Settings) -> None:
    settings.KRAKEN_URL = "http://127.0.0.1:9"
    memory = VenueMemory()
    feed = real_market.source(SystemClock(), memory.of("kraken"))
    venue = connectors()["kraken"].venue_with(lambda _: KEY, memory.of("kraken"))
    assert isinstance(feed, KrakenMarket) and isinstance(venue, KrakenVenue)
    assert feed.client.ledger is venue.client.ledger and feed.client.public_bucket == venue.client.public_bucket
    venue.client.ledger.close(venue.client.public_bucket, 60)
    assert not feed.client.ledger.admit_now((Draw(feed.client.public_bucket),), Priority.PROTECTION), (
        "a ban is everybody's"
    )
    await venue.close()
    await feed.close()
