"""Order books: taken while somebody wants one, checked, kept for a while, shown with their time; what they say of an order's cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from signalist.clock import ReplayClock, utc_now
from signalist.domain.depth import Depth, sweep
from signalist.domain.matching import Bar
from signalist.domain.orders import Side
from signalist.engine import real_market
from signalist.engine.market_feeds import wanted_of
from signalist.markets import depth_books
from signalist.markets.depth_models import BookShot, DepthWish
from signalist.markets.service import MarketService
from signalist.venues.kraken import protocol
from signalist.venues.kraken.client import Client as Kraken
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.paper.matching_desk import Terms
from tenants.doors import across_tenants
from tests.cast import Cast
from tests.markets.feed_world import ENGINE, SECOND, at_once, story, until
from tests.venues.kraken_bench import LISTED
from tests.venues.kraken_server.server import Server, serving


def levels(*pairs: tuple[int, int]) -> tuple[tuple[Decimal, Decimal], ...]:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in pairs)


def test_an_order_takes_level_after_level_and_costs_the_mean_of_them() -> None:
    depth = Depth(bids=levels((99, 1), (90, 5)), asks=levels((101, 2), (103, 2), (110, 1)))
    assert (depth.spread, depth.spread_fraction) == (2, Decimal("0.02"))
    bought = depth.sweep(Side.BUY, Decimal(4))
    assert (bought.average, bought.is_whole, bought.slippage) == (102, True, Decimal(1) / 101)
    assert depth.sweep(Side.SELL, Decimal(1)).slippage == 0
    more = depth.sweep(Side.BUY, Decimal(50))
    assert (more.filled, more.is_whole) == (5, False)
    assert sweep((), Decimal(1)).average is None and Depth((), levels((1, 1))).spread is None


@pytest.fixture
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' door, in the loop's own thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setattr("signalist.markets.book_watch.EVERY", 0.02)
    with across_tenants("tests"):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("door")
@story
async def test_a_book_is_taken_while_somebody_wants_it_and_one_that_is_wrong_is_not_stored() -> None:
    clock = ReplayClock(utc_now())
    server = Server(LISTED, Terms(), protocol.TIERS["starter"], clock.now)
    btc = next(i for i in real_market.instruments() if i.symbol == "BTC/USD")
    shots = BookShot.objects.filter(instrument=btc).order_by("-pk")

    def trade(price: int) -> None:
        server.move("BTC/USD", Bar.tick(Decimal(price)), Decimal(price))

    def books() -> list[str]:
        return [symbol for c in server.streams.all for channel, symbol, _ in c.channels if channel == "book"]

    async with serving(server, beat=0.02) as address:
        trade(100)
        source = KrakenMarket(Kraken(clock, base=address), address.replace("http", "ws") + "/v2")
        service = MarketService(source, clock, at_once, ENGINE, lambda: wanted_of("kraken"))
        try:
            await service.turn()
            await until(lambda: service.board.quotes.get("BTC/USD") is not None, "the first price")
            assert books() == [] and not shots.exists(), "nobody wants one"
            depth_books.want(btc.pk, clock.now())
            depth_books.want(btc.pk, clock.now())
            await until(shots.exists, "a snapshot")
            found = depth_books.standing(btc.pk, clock.now())
            assert found.is_wanted and found.depth is not None and found.depth.spread == Decimal("0.2")
            assert found.depth.asks[:2] == ((Decimal("100.1"), Decimal(1)), (Decimal("100.2"), Decimal(2)))
            trade(105)
            await until(lambda: shots[0].bids[0][0].startswith("104.9"), "the book that moved")
            # One that does not add up is told of, left, and subscribed anew.
            server.faults.add("wrong_checksum", "book")
            before = shots.count()
            trade(110)
            await until(lambda: service.row is not None and service.row.checksums == 1, "it is found out")
            await until(lambda: shots.count() > before and shots[0].bids[0][0].startswith("109.9"), "it is whole again")
            assert books() == ["BTC/USD"]
            # Nobody wants it any more; the feed itself was never disturbed.
            clock.advance_to(clock.now() + depth_books.WANTED_FOR + SECOND)
            await until(lambda: books() == [], "it is left")
            assert service._ear.lines["kraken/0"].tally.connections == 1
        finally:
            await service.stop()
    later = clock.now() + depth_books.LAST_KEPT
    assert depth_books.retire(later - timedelta(hours=1)) == 0
    assert depth_books.retire(later + SECOND) >= 3 and not shots.exists() and not DepthWish.objects.exists()


@pytest.mark.django_db
def test_what_is_stored_of_a_book_is_bounded() -> None:
    with across_tenants("tests"):
        coin, now = real_market.instruments()[0], utc_now()
        deep = tuple((Decimal(100 + n), Decimal(1)) for n in range(400))
        for second in range(0, 1200, 60):
            depth_books.store([depth_books.Shot([coin.pk], now + second * SECOND, Depth(deep, deep))])
        assert BookShot.objects.count() == 11 and len(BookShot.objects.first().bids) == depth_books.LEVELS  # type: ignore[union-attr]


@pytest.mark.django_db
def test_the_page_shows_the_ten_best_levels_with_their_time(client: Client, cast: Cast) -> None:
    with across_tenants("tests"):
        coin = real_market.instruments()[0]
    client.force_login(cast.vera)
    page = f"/markets/{coin.pk}/"
    assert "Show the order book" in client.get(page).content.decode()
    assert client.post(f"{page}depth/").headers["Location"] == f"{page}#depth"
    assert "first snapshot comes" in client.get(page).content.decode()
    now = utc_now()
    with across_tenants("tests"):
        bids, asks = levels((64000, 1), (63999, 2)), levels(*((64002 + n, 1) for n in range(12)))
        depth_books.store([depth_books.Shot([coin.pk], now, Depth(bids, asks))])
    swapped = client.get(f"{page}depth/", headers={"HX-Request": "true"}).content.decode()
    assert (
        all(word in swapped for word in ("64,002.0", "64,011.0", "0.0031%", "as of", "every 2s"))
        and "64,012" not in swapped
    )
    with across_tenants("tests"):
        BookShot.objects.update(at=now - timedelta(minutes=3))
        DepthWish.objects.update(until=now)
    old = client.get(page).content.decode()
    assert "3 min" in old and "Show the order book" in old and "every 2s" not in old
    assert client.get("/markets/999/depth/").status_code == 404
