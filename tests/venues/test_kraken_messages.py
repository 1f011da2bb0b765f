"""Kraken's stream against recorded messages: books by their checksum, tickers, candles, trades."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from signalist.clock import SystemClock
from signalist.domain.orders import Side
from signalist.domain.timeframes import timeframe
from signalist.venues.kraken import streams
from signalist.venues.kraken.bars import Bars
from signalist.venues.kraken.book import Book, WrongBook, checksum
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.parse import read
from signalist.venues.kraken.streams import PublicStream
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
from tests.venues.kraken_vectors import beside, messages, vectors
from tests.venues.test_kraken_wire import KNOWN

D = Decimal


def told(*texts: str) -> list[Message]:
    """What a stream makes of messages."""
    stream = PublicStream(Client(SystemClock()), "ws://nowhere", ())
    stream._books["BTC/USD"] = Book("BTC/USD", 10, 1, 8)
    return [message for text in texts for message in stream.heard(text)]


@beside
def test_the_published_checksum_comes_out() -> None:
    case = vectors("kraken-signature-and-checksum.json")["book_checksum"]
    sides = ([(D(p), D(q)) for p, q in case[name]] for name in ("asks_low_to_high", "bids_high_to_low"))
    assert checksum(*sides, case["price_decimals"], case["qty_decimals"]) == case["crc32"] == 3310070434


@beside
def test_a_recorded_book_adds_up_after_each_of_its_509_updates() -> None:
    said = vectors("kraken-orderbook-v2-btcusd-depth10.json")
    book = Book("BTC/USD", 10, 1, 8)
    assert book.take(said["init"]["data"][0], snapshot=True) is not None
    for update in said["updates"]:
        found = book.take(update["data"][0], snapshot=False)
        assert found is not None
        assert len(found.bids) == len(found.asks) == 10
        assert found.bids[0].price < found.asks[0].price
    assert len(said["updates"]) == 509


@beside
def test_a_book_that_misses_one_update_is_found_out_and_is_none_until_it_is_told_anew() -> None:
    said = vectors("kraken-orderbook-v2-btcusd-depth10.json")
    book = Book("BTC/USD", 10, 1, 8)
    book.take(said["init"]["data"][0], snapshot=True)
    rows = [update["data"][0] for update in said["updates"]]
    with pytest.raises(WrongBook):
        [book.take(row, snapshot=False) for row in rows[1:60]]
    assert book.take(rows[60], snapshot=False) is None


def snapshot(checked: int | None = None, **changes: Any) -> str:
    levels = {"bids": [(99 - n, 1) for n in range(10)], "asks": [(101 + n, 1) for n in range(10)]}
    said = {
        side: [{"price": float(price), "qty": float(quantity)} for price, quantity in of] for side, of in levels.items()
    }
    right = checksum(*([(D(p), D(q)) for p, q in levels[side]] for side in ("asks", "bids")), 1, 8)
    row = {"symbol": "BTC/USD", **said, "checksum": right if checked is None else checked} | changes
    return json.dumps({"channel": "book", "type": "snapshot", "data": [row]})


def test_a_book_with_a_wrong_checksum_is_told_and_asked_for_anew() -> None:
    stream = PublicStream(Client(SystemClock()), "ws://nowhere", ())
    stream._books["BTC/USD"] = Book("BTC/USD", 10, 1, 8)
    (good,) = stream.heard(snapshot())
    assert isinstance(good, BookSnapshot)
    (bad,) = stream.heard(snapshot(7))
    assert isinstance(bad, Trouble)
    assert (bad.kind, bad.symbol) == (TroubleKind.CHECKSUM, "BTC/USD")
    said = [json.loads(text) for text in stream._to_say]
    assert [(one["method"], one["params"]["symbol"], one["params"]["depth"]) for one in said] == [
        ("unsubscribe", ["BTC/USD"], 10),
        ("subscribe", ["BTC/USD"], 10),
    ]


@beside
def test_recorded_tickers_candles_and_trades_are_read() -> None:
    first, second = told(*messages("ticker.snapshot"), *messages("ticker.update"))
    assert isinstance(first, Ticker)
    assert isinstance(second, Ticker)
    assert (first.last, first.bid, first.ask, first.bid_quantity) == (
        D("65972.9"),
        D("65972.8"),
        D("65972.9"),
        D("0.1"),
    )
    assert (second.last, second.change) == (D("65843.7"), D("4213.8"))
    bars = told(*messages("ohlc.snapshot"))
    assert [(bar.closed, bar.candle.close_time.minute) for bar in bars if isinstance(bar, CandleUpdate)] == [
        (False, 13),
        (True, 13),
        (False, 14),
    ]
    assert {bar.at for bar in bars if isinstance(bar, CandleUpdate)} == {
        datetime(2024, 5, 17, 11, 21, 16, 318303, tzinfo=UTC)
    }
    trades = streams.trades(read(messages("trade.update")[0]))
    assert [(t.side, t.price, t.quantity, t.number) for t in trades] == [
        (Side.BUY, D(68500), D("0.01044926"), 70635299),
        (Side.BUY, D(68500), D("0.00483192"), 70635300),
    ]
    assert streams.precisions(read(messages("instrument.snapshot")[0])) == {"EUR/USD": (5, 8), "ETH/BTC": (5, 8)}


@beside
def test_recorded_answers_beats_and_the_venues_state_are_read() -> None:
    at = datetime(2024, 5, 20, 11, 8, 49, 272940, tzinfo=UTC)
    assert told(*messages("heartbeat."), *messages("pong")) == [Heartbeat(), Heartbeat(at)]
    assert told(*messages("subscribe.ack.ticker"), *messages("subscribe.ack.ohlc"), *messages("status.update")) == []
    (refused,) = told(*messages("subscribe.error"))
    assert isinstance(refused, Trouble)
    assert (refused.kind, refused.why) == (TroubleKind.REFUSED, "Unsupported event")


def test_maintenance_is_told_once_and_its_end_too() -> None:
    def status(system: str) -> str:
        return json.dumps({"channel": "status", "type": "update", "data": [{"system": system}]})

    states = told(status("online"), status("maintenance"), status("online"), status("online"))
    assert [s.standing for s in states if isinstance(s, StreamState)] == [Standing.MAINTENANCE, Standing.ONLINE]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"channel": "ticker", "data": [{"symbol": "BTC/USD"}]}', '{"channel": "ohlc"}']
)
def test_what_cannot_be_read_is_told_and_harms_nothing(text: str) -> None:
    (trouble, *rest) = told(text, '{"channel": "heartbeat"}')
    assert isinstance(trouble, Trouble)
    assert trouble.kind is TroubleKind.MALFORMED
    assert rest == [Heartbeat()]


def test_a_candle_is_closed_by_a_later_one_and_corrected_by_a_late_word() -> None:
    def row(minute: int, close: int) -> dict[str, Any]:
        prices = dict.fromkeys(("open", "high", "low", "close"), D(close))
        return prices | {
            "symbol": "BTC/USD",
            "interval": 1,
            "volume": D(1),
            "interval_begin": f"2026-01-01T00:{minute:02}:00.000000000Z",
        }

    bars = Bars()
    said = [bars.take([row(*one)]) for one in ((0, 10), (0, 11), (3, 12), (0, 13))]
    assert [[(bar.candle.close, bar.closed) for bar in told] for told in said] == [
        [(10, False)],
        [(11, False)],
        [(11, True), (12, False)],
        [(13, True)],
    ]
    assert said[2][0].frame == timeframe("1m")


def test_subscriptions_of_what_kraken_does_not_have_are_refused_one_by_one() -> None:
    wanted = [
        Subscription(Channel.TICKER, "BTC/USD"),
        Subscription(Channel.TICKER, "LTC/USDT"),
        Subscription(Channel.CANDLES, "BTC/USD", timeframe("2h")),
        Subscription(Channel.TICKER, "XYZ/USD"),
        Subscription(Channel.BOOK, "BTC/USD", depth=11),
    ]
    stream = PublicStream(Client(SystemClock()), "ws://nowhere", wanted)
    assert [trouble.symbol for trouble in stream._prepare(KNOWN)] == ["BTC/USD", "XYZ/USD"]
    params = [json.loads(text)["params"] for text in stream._to_say]
    assert [(p["channel"], p["symbol"], p.get("depth")) for p in params] == [
        ("ticker", ["BTC/USD", "LTC/USDT"], None),
        ("book", ["BTC/USD"], 25),
    ]
