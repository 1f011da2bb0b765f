"""Newest prices past the rows: from a feed's board over PostgreSQL's wire to the pages that show them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.template.loader import render_to_string

from signalist.clock import monotonic, utc_now
from signalist.engine.price_teller import PriceTeller
from signalist.live.hub import Hub
from signalist.markets.board import Board, Quote
from signalist.markets.models import Instrument
from signalist.markets.newest import NewestPrices
from signalist.markets.overview import LastPrice, last_prices
from signalist.markets.price_wire import LONGEST, ToldPrice, payloads, prices_of
from signalist.markets.selectors import forget_instruments
from tests.live.pages import Page, elsewhere, eventually, heard


def made(symbol: str) -> Instrument:
    rules = {"tick": Decimal("0.1"), "lot": Decimal(1), "min_quantity": Decimal(1), "min_notional": Decimal(1)}
    return Instrument.objects.create(venue="loop", symbol=symbol, base=symbol, quote="USD", kind="SPOT", **rules)


@asynccontextmanager
async def telling(board: Board, routes: dict[str, list[int]]) -> AsyncIterator[None]:
    """The engine's side, on its own line to the database."""
    task = asyncio.create_task(PriceTeller(board, lambda: routes).keep())
    yield
    task.cancel()
    await asyncio.wait([task])


def test_what_is_written_is_read_and_no_payload_is_too_long() -> None:
    now = utc_now()
    told = [ToldPrice(n, Decimal(n) / 8, now, now - timedelta(milliseconds=n)) for n in range(1, 400)]
    texts = list(payloads(told))
    assert [price for text in texts for price in prices_of(text)] == told
    assert len(texts) > 1 and all(len(text.encode()) <= LONGEST for text in texts)
    for broken in ("", "1 2 3", "x 1 2 3", "1 many 2 3", "1 2 3 4;"):
        with pytest.raises(ValueError, match="values|invalid|price"):
            prices_of(broken)


def test_the_later_of_what_is_stored_and_what_was_heard_is_shown() -> None:
    newest, now = NewestPrices(), utc_now()
    later = now + timedelta(seconds=1)
    assert newest.newer(1, None) is None
    assert newest.put(1, Decimal(5), now) and not newest.put(1, Decimal(4), now - timedelta(seconds=1))
    assert newest.newer(1, None) == newest.newer(1, (Decimal(3), now - timedelta(seconds=1))) == (Decimal(5), now)
    assert newest.newer(1, (Decimal(6), later)) == (Decimal(6), later)


def test_an_old_price_is_drawn_as_old_and_a_currency_as_text() -> None:
    coin = Instrument(pk=7, venue="loop", symbol="X", base="X", quote="<b>", tick=Decimal("0.01"))
    old = LastPrice(Decimal("1234.5"), utc_now(), timedelta(minutes=2))
    drawn = render_to_string("markets/last_price.html", {"instrument": coin, "last": old, "oob": True})
    assert 'id="last-7"' in drawn and "1,234.50" in drawn and "&lt;b&gt;" in drawn and "2 min 0 s old" in drawn
    assert 'hx-swap-oob="true"' in drawn and "<time" not in drawn


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
async def test_a_price_goes_from_the_feed_to_the_pages_that_show_it_and_to_no_other(
    process: Hub, browsers: dict[str, Any]
) -> None:
    coin, other = await elsewhere(made, "BTC"), await elsewhere(made, "ETH")
    board = Board()
    page = Page(browsers["theo"], "nothing", prices=f"{coin.pk},{2**40},no")
    silent = Page(browsers["gus"], "nothing", prices=str(other.pk))
    assert await page.open() and await silent.open()
    await page.until(heard("hello"))
    waits: list[timedelta] = []
    process.quotes.written = waits.append
    async with telling(board, {"BTC": [coin.pk]}):
        key = f"last-{coin.pk}"
        await eventually(lambda: process.quotes._followers)

        async def shown(price: int) -> None:
            """The feed's newest price arrives; those before it need not."""
            for number in range(price - 99, price + 1):
                board.put("BTC", Quote(Decimal(number), utc_now(), monotonic()))
            await page.until(lambda seen: f'data-price="{price}"' in seen.regions.get(key, ""))

        await shown(200)
        begun, looks = monotonic(), len(page.looks)
        for number in range(1, 6):
            await shown(200 + 100 * number)
        assert len(page.looks) - looks <= (monotonic() - begun) / process.pace.quotes + 2, "coalesced"
        assert waits and all(timedelta(0) < wait < timedelta(seconds=2) for wait in waits)
        # What a page shows first is as new, though no row holds it; a row that comes later changes nothing that pages do not have.
        found = await elsewhere(last_prices, [coin.pk, other.pk], utc_now())
        assert {k: price.price for k, price in found.items()} == {coin.pk: Decimal(700)}
        assert process.quotes.cover([coin.pk]) and not process.quotes.cover([coin.pk, other.pk])
        # A page may show others without being opened anew, and is sent what is known of them at once.
        await silent.says(live="show", regions=[], prices=[coin.pk])
        await silent.until(lambda seen: 'data-price="700"' in seen.regions.get(key, ""))
        assert len(silent.looks) == 1
        await silent.leave()
        await page.says(live="hide")
        await eventually(lambda: all(not s.visible for s in process.sockets.everyone()))
        board.put("BTC", Quote(Decimal(800), utc_now(), monotonic()))
        assert await page.stays(lambda seen: "700" in seen.regions[key], 0.3)
        await page.says(live="show", regions=[], prices=[coin.pk])
        await page.until(lambda seen: 'data-price="800"' in seen.regions[key])
        process.quotes.heard("nonsense")
        # A venue makes its steps finer: whoever looks next is shown prices with them.
        await elsewhere(Instrument.objects.filter(pk=coin.pk).update, tick=Decimal("0.001"))
        forget_instruments()
        await page.says(live="show", regions=[], prices=[coin.pk])
        await page.until(lambda seen: ">800.000<" in seen.regions[key])
    await page.leave()
    assert not process.quotes._followers and not process.quotes._owed
