"""Kraken's streams against the server: what comes, what is checked, and the life of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from signalist.clock import monotonic
from signalist.domain.timeframes import timeframe
from signalist.venues.errors import SessionLost
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.market_data import (
    BookSnapshot,
    CandleUpdate,
    Channel,
    Heartbeat,
    Message,
    Standing,
    StreamState,
    Subscription,
    Ticker,
    Trouble,
    TroubleKind,
)
from signalist.venues.transport.budgets import Budget
from signalist.venues.transport.sockets import KeptUp, Link
from tests.venues.kraken_bench import QUICK, SPOT, KrakenBench, served
from tests.venues.loopback_bench import until

D = Decimal
MINUTE = timeframe("1m")
ALL = (
    Subscription(Channel.TICKER, SPOT.symbol),
    Subscription(Channel.CANDLES, SPOT.symbol, MINUTE),
    Subscription(Channel.BOOK, SPOT.symbol, depth=10),
)


@pytest.fixture
async def bench() -> AsyncIterator[KrakenBench]:
    async with served() as bench:
        yield bench


class Hearing:
    """Somebody who reads a stream."""

    def __init__(self, market: KrakenMarket, subscriptions: Sequence[Subscription] = ALL) -> None:
        self.market, self.messages, self.ended = market, list[Message](), ""
        self._task = asyncio.create_task(self._read(subscriptions))

    async def _read(self, subscriptions: Sequence[Subscription]) -> None:
        try:
            async with aclosing(self.market.stream(subscriptions)) as stream:  # type: ignore[type-var]
                async for message in stream:
                    self.messages.append(message)
        except SessionLost as error:
            self.ended = str(error)

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    async def __aenter__(self) -> Hearing:
        await until(lambda: len(self.of(BookSnapshot)) > 0 or bool(self.ended))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.market.close()


async def test_prices_candles_and_books_come_as_they_are_made(bench: KrakenBench) -> None:
    async with Hearing(bench.market()) as hearing:
        assert hearing.messages[0] == StreamState(Standing.OPEN)
        await bench.moves_to(1001)
        await bench.moves_to("1002.5")
        await until(lambda: len(hearing.of(CandleUpdate)) >= 5)
        assert [ticker.last for ticker in hearing.of(Ticker)] == [1000, 1001, D("1002.5")]
        closed = [bar.candle.close for bar in hearing.of(CandleUpdate) if bar.closed]
        assert closed == [1000, 1001], "the one that runs is not closed"
        book = hearing.of(BookSnapshot)[-1]
        assert (book.bids[0].price, book.asks[0].price, len(book.bids)) == (D("1002.4"), D("1002.6"), 10)
        await until(lambda: len(hearing.of(Heartbeat)) > 0)
        assert hearing.of(Trouble) == []


async def test_a_book_that_is_wrong_is_told_and_comes_anew_while_the_rest_goes_on(bench: KrakenBench) -> None:
    async with Hearing(bench.market()) as hearing:
        bench.server.faults.add("wrong_checksum", "book")
        await bench.moves_to(1001)
        await until(lambda: len(hearing.of(BookSnapshot)) >= 2)
        assert [(t.kind, t.symbol) for t in hearing.of(Trouble)] == [(TroubleKind.CHECKSUM, SPOT.symbol)]
        assert hearing.of(BookSnapshot)[-1].bids[0].price == D("1000.9")
        await bench.moves_to(1002)
        await until(lambda: len(hearing.of(BookSnapshot)) >= 3)
        assert (hearing.ended, bench.server.streams.opened) == ("", 1)


async def test_what_is_said_twice_is_the_same_twice_and_candles_close_once(bench: KrakenBench) -> None:
    async with Hearing(bench.market()) as hearing:
        bench.server.faults.add("twice", times=None)
        await bench.moves_to(1001)
        await bench.moves_to(1002)
        await until(lambda: len(hearing.of(Ticker)) >= 5)
        assert [bar.candle.close for bar in hearing.of(CandleUpdate) if bar.closed] == [1000, 1001]
        assert hearing.of(Trouble) == []


async def test_a_stream_that_falls_silent_or_ends_is_lost_and_says_so(bench: KrakenBench) -> None:
    async with Hearing(bench.market()) as hearing:
        await bench.server.streams.drop()
        await until(lambda: bool(hearing.ended))
        assert "ended the stream" in hearing.ended
    async with Hearing(bench.market()) as hearing:
        bench.server.faults.add("mute", times=None)
        await until(lambda: bool(hearing.ended))
        assert "fell silent" in hearing.ended


async def test_a_subscription_that_is_not_answered_ends_the_stream(bench: KrakenBench) -> None:
    bench.server.faults.add("mute", "request", times=None)
    market = KrakenMarket(bench.client(), bench.stream_at, replace(QUICK, answer_within=0.1, silence=0.1, patience=0.1))
    async with Hearing(market) as hearing:
        assert hearing.ended


async def test_maintenance_is_told_and_so_is_its_end(bench: KrakenBench) -> None:
    async with Hearing(bench.market()) as hearing:
        bench.maintains(True)
        bench.maintains(False)
        await until(lambda: len(hearing.of(StreamState)) >= 3)
        assert [state.standing for state in hearing.of(StreamState)] == [
            Standing.OPEN,
            Standing.MAINTENANCE,
            Standing.ONLINE,
        ]


async def test_what_kraken_does_not_list_is_refused_and_the_rest_comes(bench: KrakenBench) -> None:
    wanted = [
        *ALL,
        Subscription(Channel.TICKER, "XYZ/USD"),
        Subscription(Channel.CANDLES, SPOT.symbol, timeframe("2h")),
    ]
    async with Hearing(bench.market(), wanted) as hearing:
        assert [(t.kind, t.symbol) for t in hearing.of(Trouble)] == [
            (TroubleKind.REFUSED, "XYZ/USD"),
            (TroubleKind.REFUSED, SPOT.symbol),
        ]


async def test_the_public_side_tells_prices_candles_and_depth(bench: KrakenBench) -> None:
    market = bench.market()
    begun = bench.now()
    for price in (1001, 1002, 1003):
        await bench.moves_to(price)
    tickers = await market.tickers()
    assert (list(tickers), tickers[SPOT.symbol].last) == ([SPOT.symbol], 1003)
    assert await market.tickers(["XYZ/USD"]) == {}
    asked = len(bench.server.asked)
    await market.tickers([SPOT.symbol, "BTC/USD"])
    assert len(bench.server.asked) == asked + 1, "all in one request"
    page = await market.history(SPOT.symbol, MINUTE, begun, bench.now() + timedelta(hours=1))
    assert [candle.close for candle in page.candles] == [1000, 1001, 1002], "the candle that runs is none"
    late = await market.history(SPOT.symbol, MINUTE, page.candles[0].close_time, page.candles[1].close_time)
    assert [candle.close for candle in late.candles] == [1001]
    book = await market.book(SPOT.symbol, 3)
    assert [level.price for level in book.asks] == [D("1003.1"), D("1003.2"), D("1003.3")]
    assert {spec.symbol for spec in await market.instruments()} == {"ABC/USD", "BTC/USD", "BTC/EUR"}
    await market.close()


async def test_connections_are_opened_no_faster_than_the_venue_bears(bench: KrakenBench) -> None:
    """It bans an address for ten minutes that opens 150 in ten: they are counted over all accounts and feeds of the process."""
    market = bench.market()
    market.client.ledger.limit(market.client.connections_bucket, Budget(1, 5.0))
    begun = monotonic()
    for _ in range(2):
        async with Hearing(market):
            pass
    assert monotonic() - begun > 0.15


# --- The life of a connection --------------------------------------------------------------------


class Speaking:
    """Somebody behind a connection that is kept up."""

    def __init__(self) -> None:
        self.turns: list[Link] = []
        self.why: list[str] = []
        self.said: list[str] = []

    async def opened(self, send: Callable[[str], Any]) -> None:
        await send('{"method":"ping","req_id":1}')

    def heard(self, text: str) -> None:
        self.said.append(text)

    def ping(self) -> str:
        return '{"method":"ping","req_id":2}'

    def lost(self) -> None: ...

    def link(self, link: Link, why: str) -> None:
        self.turns.append(link)
        self.why.append(why)


async def test_ten_tries_then_it_is_given_up_and_said_and_can_be_begun_anew(bench: KrakenBench) -> None:
    speaking = Speaking()
    terms = replace(QUICK, pace=0.0001)
    kept = KeptUp(bench.stream_at, speaking, terms)
    bench.server.streams.closed_to_all = True
    kept.start()
    await until(lambda: Link.FAILED in speaking.turns)
    assert (speaking.turns.count(Link.CONNECTING), bench.server.streams.opened) == (10, 10)
    assert speaking.why[-1] == "given up after 10 tries"
    bench.server.streams.closed_to_all = False
    kept.start()
    await until(lambda: any("pong" in text for text in speaking.said))
    assert kept.link is Link.UP
    await kept.close()
    assert speaking.turns[-1] is Link.CLOSED


async def test_who_ends_every_connection_at_once_is_not_tried_without_a_pause(bench: KrakenBench) -> None:
    speaking = Speaking()
    bench.server.streams.ends_at_once = True
    kept = KeptUp(bench.stream_at, speaking, replace(QUICK, settled=60.0, pace=0.0001))
    kept.start()
    await until(lambda: Link.FAILED in speaking.turns)
    assert bench.server.streams.opened == kept.losses == speaking.turns.count(Link.UP) == 10
    await kept.close()


async def test_a_message_that_breaks_its_reader_in_any_way_does_not_end_the_stream(bench: KrakenBench) -> None:
    class Breaking(Speaking):
        def heard(self, text: str) -> None:
            super().heard(text)
            if self.turns.count(Link.UP) == 1:
                text.get("symbol")  # type: ignore[attr-defined]  # a row that is no row

    speaking = Breaking()
    kept = KeptUp(bench.stream_at, speaking, replace(QUICK, pace=0.01))
    kept.start()
    await until(lambda: speaking.turns.count(Link.UP) == 2)
    assert any("AttributeError" in why for why in speaking.why)
    await kept.close()
