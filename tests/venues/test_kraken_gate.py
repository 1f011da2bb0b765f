"""What Kraken's server checks and limits at its gate, by its own rules (`kraken_server.rules`), and what our client makes of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from signalist.clock import monotonic
from signalist.venues.base import Ack
from signalist.venues.errors import BadCredential, Next, Refused
from signalist.venues.kraken import book, protocol
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.market_data import Channel, Subscription
from signalist.venues.transport.sockets import Barred, KeptUp, Link
from tests.venues.battery import BUY, Following, Traded, limit, placed, request
from tests.venues.kraken_bench import QUICK, ROOMY, SPOT, KrakenBench, served
from tests.venues.kraken_server import rules
from tests.venues.kraken_socket_bench import JoinedSession, SocketBench
from tests.venues.kraken_vectors import beside, vectors
from tests.venues.loopback_bench import until

D = Decimal
SECRET = b"secret of account-1"


@pytest.fixture(autouse=True)
def traded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Traded, "symbol", SPOT.symbol)


@pytest.fixture
async def bench() -> AsyncIterator[KrakenBench]:
    async with served() as bench:
        yield bench


# --- Who may ask ---------------------------------------------------------------------------------


@beside
def test_the_servers_own_rules_say_what_kraken_has_published() -> None:
    said = vectors("kraken-signature-and-checksum.json")
    for name in ("documented_signature", "json_body_signature"):
        case = said[name]
        secret, body = base64.b64decode(case["secret_base64"]), case["body"].encode()
        assert rules.is_signed(secret, case["path"], case["nonce"], body, case["api_sign"])
        assert not rules.is_signed(secret, case["path"], case["nonce"], body + b" ", case["api_sign"])
        assert not rules.is_signed(secret, case["path"], case["nonce"], body, case["api_sign"].rstrip("="))
        assert rules.fields_of(body, case["content_type"])["nonce"] == case["nonce"]
    case = said["book_checksum"]
    asks, bids = ([(D(p), D(q)) for p, q in case[side]] for side in ("asks_low_to_high", "bids_high_to_low"))
    for checksum in (rules.checksum, book.checksum):
        assert checksum(asks, bids, case["price_decimals"], case["qty_decimals"]) == case["crc32"] == 3310070434
    for method, age in [(m, age) for m in ("AmendOrder", "CancelOrder") for age in (0, 5, 14.9, 15, 44, 90, 300)]:
        assert rules.counts_in_pair(method, age) == protocol.order_cost(method, age)


def _over_hex(secret: bytes, nonce: str, path: str, body: bytes) -> str:
    inner = hashlib.sha256(nonce.encode() + body).hexdigest().encode()
    return base64.b64encode(hmac.digest(secret, path.encode() + inner, "sha512")).decode()


def _without_nonce(secret: bytes, nonce: str, path: str, body: bytes) -> str:
    inner = hashlib.sha256(body).digest()
    return base64.b64encode(hmac.digest(secret, path.encode() + inner, "sha512")).decode()


@pytest.mark.parametrize("wrong", [_over_hex, _without_nonce])
async def test_a_client_that_signs_otherwise_gets_nothing(
    bench: KrakenBench, monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., str]
) -> None:
    """The server has none of our client's code for it: were the client wrong, every test against the server would fail."""
    session = bench.account()
    monkeypatch.setattr(protocol, "signature", wrong)
    with pytest.raises(BadCredential, match="Invalid signature"):
        await session.balance()


async def test_bodies_of_json_are_taken_like_forms_and_signed_as_they_are_sent(bench: KrakenBench) -> None:
    bench.account()
    order = {"pair": "ABCUSD", "type": "buy", "ordertype": "limit", "volume": "0.1", "price": 900.5}

    async def ask(nonce: int, body: str, kind: str, signed: str) -> Any:
        path = "/0/private/AddOrder"
        inner = hashlib.sha256(f"{nonce}{signed}".encode()).digest()
        seal = base64.b64encode(hmac.new(SECRET, path.encode() + inner, "sha512").digest()).decode()
        headers = {"API-Key": "account-1", "API-Sign": seal, "Content-Type": kind}
        async with aiohttp.ClientSession() as http, http.post(bench.address + path, data=body, headers=headers) as said:
            return await said.json()

    told = []
    for nonce in (1, 2, 3):
        body = json.dumps({"nonce": nonce, **order, "cl_ord_id": f"json-{nonce}"})
        kind = "application/x-www-form-urlencoded" if nonce == 3 else "application/json"
        told.append(await ask(nonce, body, kind, body if nonce != 2 else body.replace(" ", "")))
    assert told[0]["result"]["descr"]["order"] == "buy 0.10000000 ABCUSD @ limit 900.5"
    assert [said["error"] for said in told[1:]] == [["EAPI:Invalid signature"], ["EAPI:Invalid signature"]]
    assert list(bench.server.house.holders["account-1"].names.values()) == ["json-1"]


# --- Connections ---------------------------------------------------------------------------------


class Silent:
    """Hears all, and says only what it must."""

    def __init__(self) -> None:
        self.turns: list[Link] = []
        self.why: list[str] = []

    async def opened(self, send: Callable[[str], Any]) -> None:
        ask = {"method": "subscribe", "req_id": 1, "params": {"channel": "ticker", "symbol": [SPOT.symbol]}}
        await send(json.dumps(ask))

    def heard(self, text: str) -> None: ...

    def ping(self) -> str:
        return json.dumps({"method": "ping", "req_id": 2})

    def lost(self) -> None: ...

    def link(self, link: Link, why: str) -> None:
        self.turns.append(link)
        self.why.append(why)


async def test_who_only_listens_speaks_now_and_then_for_the_venue_leaves_the_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server's heartbeats come all the time: they are not ours."""
    async with served() as bench:
        bench.server.streams.idle_after = 0.4
        speaks, silent = (KeptUp(bench.stream_at, Silent(), replace(QUICK, speak=speak)) for speak in (0.1, 60.0))
        for kept in (speaks, silent):
            kept.start()
        await until(lambda: silent.losses > 1)
        assert speaks.losses == 0
        for kept in (speaks, silent):
            await kept.close()


async def test_an_address_with_too_many_connections_is_barred_and_knocks_no_more(bench: KrakenBench) -> None:
    streams = bench.server.streams
    streams.most_connections = 0
    client = bench.client()
    wanted = [Subscription(Channel.TICKER, SPOT.symbol)]
    for said in ("for 600 seconds", "for another (600|599) seconds", "for another (600|599) seconds"):
        with pytest.raises(Barred, match=f"no more connections from here {said}"):
            await anext(KrakenMarket(client, bench.stream_at, QUICK).stream(wanted))
    assert streams.opened == 1
    assert (await client.pairs()).pair(SPOT.symbol), "what is asked over HTTP is another matter"
    await client.close()


async def test_an_account_without_a_stream_for_a_ban_goes_on_over_http_and_is_joined_after_it(
    bench: KrakenBench,
) -> None:
    streams, session = bench.server.streams, bench.account()
    streams.most_connections, streams.ban, streams.tells_ban = 3, 1.0, True
    desk = session._desk  # type: ignore[attr-defined]
    session.listen(lambda: None)
    for _ in range(3):
        await until(lambda: desk._joined)
        await bench.cut()
        await until(lambda: not desk._joined)
    await until(lambda: "no more connections" in desk.why)
    banned, knocked = streams.banned_until, streams.opened
    following = Following(session)
    await placed(session, request(BUY, "1"))
    assert [fill.quantity for fill in (await following.read()).fills] == [1]
    streams.tries.clear()  # else the window of ten minutes would have to pass
    await until(lambda: desk._joined)
    assert monotonic() > banned and streams.opened == knocked + 1, "nobody knocked before it was over"


# --- Orders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [KrakenBench, SocketBench])
async def test_an_order_above_the_most_that_may_rest_in_a_pair_is_refused_and_nothing_else(
    make: type[KrakenBench],
) -> None:
    async with served(tier=replace(ROOMY, open_orders=3), make=make) as bench:
        session = bench.account()
        orders = [limit(BUY, "0.1", 900 + n) for n in range(5)]
        resting = await placed(session, *orders[:2])
        if isinstance(session, JoinedSession):
            told = await session.place_many(orders[2:4])
            assert isinstance(told[0], Ack) and isinstance(told[1], Refused)
        else:
            await session.place(orders[2])
        with pytest.raises(Refused, match="Orders limit exceeded") as caught:
            await session.place(orders[4])
        assert (caught.value.next, len(await session.open_orders())) == (Next.FINAL, 3)
        assert await session.look_up(orders[4].client_order_id) is None, "it is not in doubt"
        await session.cancel(resting[0])
        await session.place(orders[4])
        assert len(await session.open_orders()) == 3, "and its name was not used up"
        assert await session.balance()
