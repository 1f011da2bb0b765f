"""Kraken's wire against published and recorded examples: signatures, bodies, answers and refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest

from signalist.domain.instruments import Trading
from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.domain.timeframes import timeframe
from signalist.venues import errors
from signalist.venues.base import OrderRequest
from signalist.venues.errors import Next
from signalist.venues.kraken import orders, parse, protocol
from signalist.venues.kraken.client import Signer, signed
from signalist.venues.kraken.symbols import Pairs, ours
from signalist.venues.market_data import BookLevel
from tests.venues.kraken_vectors import beside, rest, vectors

D = Decimal
PAIR = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "base": "XXBT",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "ordermin": "0.0001",
    "costmin": "0.5",
    "tick_size": "0.1",
    "fees": [[0, D("0.26")]],
    "fees_maker": [[0, D("0.16")]],
}
LTC = {**PAIR, "altname": "LTCUSDT", "wsname": "LTC/USDT", "base": "XLTC", "quote": "USDT"}
KNOWN = parse.pairs({"XXBTZUSD": PAIR, "LTCUSDT": LTC})
SYMBOLS = {"BTC/USD": "BTC/USD", "LTC/USDT": "LTC/USDT"}


def request(**changes: Any) -> OrderRequest:
    values: dict[str, Any] = {
        "client_order_id": "",
        "symbol": "BTC/USD",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": D("0.001"),
        "price": None,
        "trigger": None,
        "reduce_only": False,
        "leverage": D(1),
        "tag": "",
    }
    return OrderRequest(**values | changes)


def from_ccxt(args: list[Any]) -> OrderRequest | None:
    """An order in ccxt's words as one of ours; None where it is of a kind that we do not place."""
    symbol, kind, side, quantity, *more = args
    price = more[0] if more else None
    more_said = more[1] if len(more) > 1 else {}
    stop, target = more_said.get("stopLossPrice"), more_said.get("takeProfitPrice")
    if more_said.keys() - {"stopLossPrice", "takeProfitPrice", "clientOrderId"} or (
        price is not None and (stop or target)
    ):
        return None
    ours_kind = (
        OrderType.STOP
        if stop
        else OrderType.TAKE_PROFIT
        if target
        else OrderType.MARKET
        if kind == "market"
        else OrderType.LIMIT
    )
    level = stop or target
    return request(
        symbol=symbol,
        side=Side(side.upper()),
        type=ours_kind,
        quantity=D(str(quantity)),
        price=None if price is None else D(str(price)),
        trigger=None if level is None else D(str(level)),
        client_order_id=more_said.get("clientOrderId", ""),
    )


@beside
def test_the_published_signature_and_one_over_json_come_out() -> None:
    said = vectors("kraken-signature-and-checksum.json")
    for name in ("documented_signature", "json_body_signature"):
        case = said[name]
        secret = protocol.key_bytes(case["secret_base64"])
        assert protocol.signature(secret, case["nonce"], case["path"], case["body"].encode()) == case["api_sign"]


@beside
def test_every_private_request_of_ccxt_is_signed_byte_for_byte() -> None:
    said = vectors("ccxt-4.5.90-signed-requests-kraken.json")
    signer = Signer(said["apiKey"], protocol.key_bytes(said["secret"]))
    seen = 0
    for case in said["cases"]:
        for sent in case["requests"]:
            if sent["method"] != "POST":
                continue
            pairs = [part.split("=", 1) for part in sent["body"].split("&")]
            fields = {name: value for name, value in pairs if name != "nonce"}
            path = sent["url"].removeprefix(protocol.REST)
            body, headers = signed(signer, said["nonce"], path, fields)
            assert (body.decode(), headers["API-Sign"]) == (sent["body"], sent["headers"]["API-Sign"]), case
            seen += 1
    assert seen == 18


@beside
def test_every_body_that_ccxt_keeps_as_an_example_is_written_as_it_is() -> None:
    cases = [case for method in vectors("ccxt-static-request-kraken.json")["methods"].values() for case in method]
    bodies = [case["output"] for case in cases if "output" in case]
    queries = [case["url"].partition("?")[2] for case in cases if "?" in case["url"]]
    for text in bodies + queries:
        fields = {unquote(name): unquote(value) for name, value in (part.split("=", 1) for part in text.split("&"))}
        assert protocol.form(fields).decode() == text
    assert (len(bodies), len(queries)) == (25, 7)


@beside
def test_orders_of_ours_are_written_as_ccxt_writes_them() -> None:
    said, seen = vectors("ccxt-4.5.90-signed-requests-kraken.json"), 0
    cases = [(case["args"], case["requests"][0]["body"]) for case in said["cases"] if case["method"] == "create_order"]
    older = vectors("ccxt-static-request-kraken.json")["methods"]["createOrder"]
    cases += [(case["input"], case["output"]) for case in older]
    for args, body in cases:
        order = from_ccxt(args)
        if order is None or order.symbol not in SYMBOLS:
            continue
        nonce = body.split("&")[0].removeprefix("nonce=")
        fields = orders.fields(order, KNOWN.pair(order.symbol), fee_in_quote=False)
        assert protocol.form({"nonce": nonce, **fields}).decode() == body
        seen += 1
    assert seen == 8


def test_a_deadline_is_two_to_sixty_seconds_ahead_or_the_order_is_not_sent() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pair = KNOWN.pair("BTC/USD")
    soon = orders.fields(request(price=D(1), expires_at=now + timedelta(seconds=5)), pair, now)
    late = orders.fields(request(price=D(1), expires_at=now + timedelta(hours=1)), pair, now)
    assert (soon["deadline"], late["deadline"]) == ("2026-01-01T00:00:05.000Z", "2026-01-01T00:01:00.000Z")
    assert soon["oflags"] == "fciq"
    with pytest.raises(errors.NotSent):
        orders.fields(request(price=D(1), expires_at=now + timedelta(seconds=1)), pair, now)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": D("1.05")}, "multiple of 0.1"),
        ({"quantity": D("0.000000001"), "price": D(1)}, "multiple of"),
        ({"quantity": D("0.00001"), "price": D(1)}, "under the minimum"),
        ({"quantity": D("0.0001"), "price": D(100)}, "under the minimum"),
        ({"quantity": D("NaN"), "price": D(1)}, "no quantity"),
        ({}, "needs a price"),
        ({"type": OrderType.STOP}, "needs a trigger"),
        ({"price": D(1), "leverage": D(2)}, "without leverage"),
        ({"price": D(1), "client_order_id": "x" * 37}, "36 characters"),
    ],
    ids=str,
)
def test_what_kraken_would_refuse_is_not_sent(change: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.Refused, match=words):
        orders.check(request(**{"client_order_id": "a", **change}), KNOWN.pair("BTC/USD"))


# --- Answers -------------------------------------------------------------------------------------


def known() -> Pairs:
    return parse.pairs(rest("tradable_asset_pairs"))


@beside
def test_recorded_pairs_are_instruments_with_their_steps_minimums_and_fees() -> None:
    listed = known().pair("BTC/USD")
    spec = listed.spec
    assert (spec.name, spec.base, spec.quote) == ("kraken:BTC/USD", "BTC", "USD")
    assert (spec.tick, spec.lot, spec.min_quantity, spec.min_notional) == (
        D("0.1"),
        D("1E-8"),
        D("0.0001"),
        D("0.5"),
    )
    assert (spec.taker_fee, spec.maker_fee, spec.trading) == (D("0.0026"), D("0.0016"), Trading.ONLINE)
    assert not spec.can_short


@beside
def test_recorded_prices_candles_depth_and_trades_are_read() -> None:
    quote = parse.tickers(rest("ticker_information"), known())["BTC/USD"]
    assert (quote.bid, quote.ask, quote.last) == (D("40228.4"), D("40228.5"), D("40228.5"))
    rows = next(iter(rest("ohlc_data").values()))
    running = datetime.fromtimestamp(rows[-1][0] + 30, UTC)
    candles = parse.candles(rest("ohlc_data"), timeframe("1m"), running)
    assert len(candles) == len(rows) - 1, "the candle that runs is left out"
    assert candles[0].close_time == datetime.fromtimestamp(1700980320, UTC)
    assert (candles[1].low, candles[1].volume) == (D("37780.4"), D("0.02258695"))
    depth = parse.book(rest("orderbook"), "BTC/USD")
    assert (depth.asks[0], depth.bids[0].price) == (BookLevel(D("37221.1"), D("19.596")), D(37221))
    (first, *_) = parse.trades(rest("recent_trades"), "BTC/USD")
    assert (first.side, first.price, first.number) == (Side.BUY, D(37247), 64754585)
    assert parse.trading(rest("system_status")["status"]) is Trading.ONLINE


@beside
def test_recorded_orders_fills_and_balances_are_read() -> None:
    rows = rest("open_orders")["open"]
    assert {orders.report(key, row).status for key, row in rows.items()} <= {OrderStatus.WORKING, OrderStatus.PARTIAL}
    told = orders.open_order("604X4L-ANXHT-JV0ZQT", rows["604X4L-ANXHT-JV0ZQT"], known())
    assert (told.client_order_id, told.side, told.type, told.price) == (
        "some-uuid",
        Side.SELL,
        OrderType.LIMIT,
        D("0.00877"),
    )
    closed = {key: orders.report(key, row) for key, row in rest("closed_orders")["closed"].items()}
    assert closed["KGOWV8-P15FK-YG75U7"].status is OrderStatus.FILLED
    assert closed["1OX8PJ-DOX9B-1TAW4M"].status is OrderStatus.CANCELLED
    replaced = orders.report("P8E9L2-ITMSU-UGBBRE", rest("query_order_info")["P8E9L2-ITMSU-UGBBRE"])
    assert (replaced.reason, replaced.filled) == ("Order replaced", 0)
    trade = orders.fill("6H44OW", rest("trades_history")["trades"]["6H44OW-RTMBC-VIACPX"], "ours", known())
    assert (trade.symbol, trade.side, trade.fee, trade.fee_currency) == ("BTC/USD", Side.SELL, D("0.07423"), "USD")
    assert trade.venue_order_id == "3WCTEM-C4M3D-CQU27S"
    held = orders.holdings(rest("extended_balance"), known())
    assert held["ATOM"] == (D("14.50385601"), D("10.57952001")), "what is promised to orders is not free"
    assert not any("." in asset for asset in held), "what is staked is not money to trade with"


def test_one_thing_has_one_name_here() -> None:
    assert (ours("XBT/USD"), ours("XDG/XBT"), ours("ETH/EUR")) == ("BTC/USD", "DOGE/BTC", "ETH/EUR")
    assert [KNOWN.asset(key) for key in ("XXBT", "XBT", "ZUSD", "ZEUR", "USDT", "XTZ", "XXDG", "XLTC")] == [
        *("BTC", "BTC", "USD", "EUR", "USDT", "XTZ", "DOGE", "LTC")
    ]
    assert {KNOWN.pair(name).symbol for name in ("XXBTZUSD", "XBTUSD", "BTC/USD")} == {"BTC/USD"}
    with pytest.raises(errors.UnknownInstrument):
        KNOWN.pair("XYZ/USD")


# --- Refusals ------------------------------------------------------------------------------------

NEXT = {
    Next.FINAL: """EGeneral:Invalid arguments:volume; EGeneral:Invalid arguments:Index unavailable; EGeneral:Permission denied;
        EGeneral:Unknown method; EAPI:Invalid key; EAPI:Invalid signature; EAPI:Bad request; EQuery:Unknown asset pair;
        EQuery:Unknown asset; EQuery:Invalid asset pair; EService:Deadline elapsed; EOrder:Insufficient funds; EOrder:Order minimum not met;
        EOrder:Cost minimum not met; EOrder:Tick size check failed; EOrder:Invalid price:Invalid price argument; EOrder:Invalid order;
        EOrder:Unknown order; EOrder:Unknown position; EOrder:Orders limit exceeded; EOrder:Positions limit exceeded;
        EOrder:Scheduled orders limit exceeded; EOrder:Cannot open position; EOrder:Cannot open opposing position;
        EOrder:Margin allowance exceeded; EOrder:Margin level too low; EOrder:Margin position size exceeded; EOrder:Insufficient margin;
        EOrder:Reduce only:No position exists; EOrder:Reduce only:Position is closed; EOrder:Reduce only:Non-PC;
        EAccount:Invalid permissions; EAuth:Account temporary disabled; EAuth:Account unconfirmed; EAuth:Failed; ETrade:Invalid request;
        ETrade:User Locked; EBM:limit exceeded:CAL; EFunding:Unknown withdraw key; Currency pair not supported XBT/USD; Unsupported event;
        Unsupported field: 'params' for the given msg type: ping; Limit_price field must be a number_float; Already subscribed to one""",
    Next.RETRY: """EAPI:Invalid nonce; EAPI:Rate limit exceeded; EGeneral:Temporary lockout; EGeneral:Too many requests;
        EService:Unavailable; EService:Busy; EService:Market in cancel_only mode; EService:Market in post_only mode;
        EService:Market in limit_only mode; EService:Throttled: 1700000003; EOrder:Rate limit exceeded; EOrder:Domain rate limit exceeded;
        EAuth:Rate limit exceeded; EAuth:Too many requests""",
    Next.RECONNECT: "ESession:Invalid session; Token(s) not found",
    Next.UNKNOWN: """EService:Timeout; EGeneral:Internal error; EGeneral:Internal error:104; EDatabase:Internal error;
        EOrder:cl_ord_id already exists; EGeneral:Invalid arguments:duplicate cl_ord_id; ENovel:Never seen before""",
}


@pytest.mark.parametrize("following", NEXT)
def test_every_text_says_what_may_be_done_next(following: Next) -> None:
    for text in (" ".join(text.split()) for text in NEXT[following].split(";")):
        assert protocol.error(text).next is following, text


def test_every_line_of_the_table_is_tried() -> None:
    tried = [" ".join(text.split()) for texts in NEXT.values() for text in texts.split(";")]
    assert [line for line in protocol.TEXTS if not any(text.startswith(line) for text in tried)] == []


def test_a_refusal_that_names_a_moment_is_waited_for() -> None:
    throttled = protocol.error("EService:Throttled: 1700000003", 1_700_000_000.0)
    assert isinstance(throttled, errors.Busy)
    assert throttled.after == 3
    locked = protocol.error("EGeneral:Temporary lockout")
    assert isinstance(locked, errors.Busy)
    assert locked.after == 900


def test_costs_are_those_that_kraken_publishes() -> None:
    """Add, amend after seven seconds, cancel 36 seconds after: 1 + 1 + 2 + 4, its own example."""
    order = protocol.order_cost
    assert order("AddOrder") + order("AmendOrder", 7) + order("CancelOrder", 43) == 8
    assert [order("CancelOrder", age) for age in (None, 1, 6, 12, 30, 60, 200, 400)] == [8, 8, 6, 5, 4, 2, 1, 0]
    assert (protocol.call_cost("AddOrder"), protocol.call_cost("TradesHistory"), protocol.call_cost("BalanceEx")) == (
        0,
        4,
        1,
    )


def test_a_warning_is_no_refusal_and_an_answer_without_a_form_is_none() -> None:
    assert parse.result({"error": ["WGeneral:Something is old"], "result": {"a": 1}}) == {"a": 1}
    for odd in ({}, [], None, {"error": "text"}):
        with pytest.raises(ValueError, match="none of Kraken"):
            parse.result(odd)
    for odd in ("x", None, True, "NaN", [], "Infinity"):
        with pytest.raises(ValueError, match="is not a number"):
            parse.number(odd)


def test_a_secret_that_is_none_is_a_bad_key() -> None:
    with pytest.raises(errors.BadCredential):
        protocol.key_bytes("not base64!")
    assert "s3cret" not in repr(Signer("key-1", b"s3cret"))
