"""Orders over Kraken's private stream: which way they go, what never leaves, and what is known of them when something breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from signalist.clock import monotonic
from signalist.domain.orders import OrderStatus
from signalist.venues.base import Ack, OrderRequest
from signalist.venues.errors import (
    Busy,
    DuplicateOrder,
    InsufficientFunds,
    Next,
    NoAnswer,
    NotSent,
    OrderNotOpen,
    Refused,
    VenueError,
)
from signalist.venues.kraken import protocol, stream_orders
from signalist.venues.kraken.many import BatchRefused, Ready, matched
from signalist.venues.kraken.protocol import Tier, carefully
from signalist.venues.kraken.session import KrakenSession
from signalist.venues.kraken.trading_socket import StaleToken
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.fence import NEVER, fenced
from signalist.venues.transport.sockets import NotUp
from tests.venues.battery import BUY, SELL, Following, Traded, limit, placed, request, status, stop
from tests.venues.kraken_bench import SPOT, served
from tests.venues.kraken_server.trading import checked
from tests.venues.kraken_socket_bench import JoinedSession, SocketBench
from tests.venues.kraken_vectors import beside, messages
from tests.venues.loopback_bench import until

D = Decimal


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SocketBench]:
    monkeypatch.setattr(Traded, "symbol", SPOT.symbol)
    async with served(make=SocketBench) as bench:
        yield bench


async def joined(bench: SocketBench) -> JoinedSession:
    """A session on its stream, which has read all there is."""
    session = bench.account()
    assert isinstance(session, JoinedSession)
    await session.joined()
    await session.reports("")
    return session


def impatient(session: JoinedSession, within: float = 1.5) -> KrakenSession:
    """The same account in the hands of one who does not wait for the stream."""
    return KrakenSession(session._desk, within)


def resting(count: int, **changes: Any) -> list[OrderRequest]:
    """Entries under the market."""
    return [limit(BUY, "1", 900 + n, **changes) for n in range(count)]


def drained(bench: SocketBench, session: JoinedSession, seconds: float) -> None:
    """The counter of the pair has nothing to give for so long."""
    ledger, tier = bench.venue.client.ledger, bench.venue.client.tier
    bucket = bench.venue.client.orders_bucket(session._signer, SPOT.symbol)
    ledger.limit(bucket, carefully(tier.orders))
    ledger.used(bucket, carefully(tier.orders).size + seconds * tier.orders.per_second)


# --- Which way ------------------------------------------------------------------------------------


async def test_an_order_its_amendment_and_its_cancel_cost_no_question_over_http(bench: SocketBench) -> None:
    session = await joined(bench)
    before = len(bench.server.asked)
    entry, protection = await placed(session, request(BUY, "2"), stop(SELL, "1", 950))
    amended = await session.amend(protection, D(2), D(960))
    assert (amended.quantity, amended.status) == (2, OrderStatus.WORKING)
    assert (await session.cancel(protection)).status is OrderStatus.CANCELLED
    assert bench.server.asked[before:] == ["add_order", "add_order", "amend_order", "cancel_order"]
    following = await Following(session).read()
    assert [fill.client_order_id for fill in following.fills] == [entry]
    found = {name: order.status for name, order in following.orders.items()}
    assert found == {entry: OrderStatus.FILLED, protection: OrderStatus.CANCELLED}


async def test_while_the_stream_is_away_orders_go_over_http_and_never_both_ways(bench: SocketBench) -> None:
    session = await joined(bench)
    plain, asked = impatient(session), bench.server.asked
    bench.server.streams.closed_to_all = True
    await bench.cut()
    await plain.place(request(BUY, "1"))
    assert (asked.count("AddOrder"), asked.count("add_order")) == (1, 0)
    bench.server.streams.closed_to_all = False
    await session.place(request(BUY, "1"))
    assert (asked.count("AddOrder"), asked.count("add_order")) == (1, 1)
    assert len((await Following(session).read()).fills) == 2


@pytest.mark.parametrize("kind", ["full", "behind a backlog"])
async def test_a_stream_that_takes_nothing_more_gets_no_order(bench: SocketBench, kind: str) -> None:
    """What lay in our buffer would leave whenever it went on, whatever the fence says then; and half a frame is nothing."""
    session = await joined(bench)
    (connection,) = bench.server.streams.all
    transport = connection.request.transport
    assert transport is not None
    transport.pause_reading()
    filling = '{"method":"ping","req_id":0,"x":"' + "x" * 30_000 + '"}'
    if kind == "full":
        filled = asyncio.gather(*(session._desk._kept.post(filling) for _ in range(2000)))
        with pytest.raises(NotUp, match="given up"):
            await filled
        await until(lambda: not session._desk.trading.is_open())
    else:
        backlog = asyncio.create_task(session._desk._kept.send("x" * 20_000_000))
        await asyncio.sleep(0.02)
        assert session._desk.trading.is_open()
    await impatient(session).place(request(BUY, "1"))
    assert (bench.server.asked.count("AddOrder"), bench.server.asked.count("add_order")) == (1, 0)
    if kind != "full":
        assert session._desk.trading.is_open(), "which is no reason to leave it"
        backlog.cancel()
        transport.resume_reading()


async def test_a_stream_that_answers_nothing_is_gone_around_until_it_may_be_tried_again(bench: SocketBench) -> None:
    session = await joined(bench)
    hasty, orders = impatient(session, 0.03), resting(6)
    bench.server.faults.add("unanswered", "add_order", times=None)
    for order in orders[:5]:
        with pytest.raises(NoAnswer) as caught:
            await hasty.place(order)
        assert caught.value.next is Next.UNKNOWN
    bench.heal()
    await impatient(session).place(orders[5])
    assert bench.server.asked.count("AddOrder") == 1
    await session.place(limit(BUY, "1", 910))  # which waits until the stream may be asked again
    assert bench.server.asked.count("add_order") == 6
    assert len(await session.open_orders()) == 7


# --- What never leaves ----------------------------------------------------------------------------


async def test_nothing_leaves_behind_a_closed_fence_or_after_its_deadline(bench: SocketBench) -> None:
    session, order = await joined(bench), request(BUY, "1")
    with fenced(lambda: NEVER) as house, pytest.raises(NotSent):
        await session.place(order)
    with fenced(None) as late, pytest.raises(NotSent):
        await session._desk.trading.ask("add_order", {}, priority=Priority.ENTRY, within=1, deadline=monotonic() - 1)
    with fenced(None) as missed, pytest.raises(NotSent):
        await session._desk._kept.post("{}", monotonic() - 1)
    drained(bench, session, 0.1)
    until_when = [monotonic() + 60.0]
    with fenced(lambda: until_when[0]) as lost:
        waiting = asyncio.create_task(session.place(order))
        await asyncio.sleep(0.02)
        until_when[0] = NEVER  # the lease went while it waited for its turn
        with pytest.raises(NotSent):
            await waiting
    assert not any(one.may_have_left for one in (late, missed, lost)) and not house.left
    assert not {"add_order", "AddOrder"} & set(bench.server.asked)
    await session.place(order)
    assert bench.placings() == 1


async def test_what_protects_goes_before_entries_that_wait_for_the_pairs_counter(bench: SocketBench) -> None:
    session = await joined(bench)
    await session.place(request(BUY, "2"))
    drained(bench, session, 0.1)
    entries = [asyncio.create_task(session.place(order)) for order in resting(3)]
    await asyncio.sleep(0.02)
    protection = await session.place(stop(SELL, "2", 950))
    acks = await asyncio.gather(*entries)
    assert protection.venue_order_id < min(ack.venue_order_id for ack in acks)


async def test_a_tiers_limits_are_waited_for_and_never_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides count as Kraken does: a batch costs half of its orders, a cancel of a fresh one 8, where 70 go at once."""
    monkeypatch.setattr(Traded, "symbol", SPOT.symbol)
    quick = Tier("quick", Budget(15, 60.0), Budget(70, 60.0, 0.3), 60)
    async with served(tier=quick, make=SocketBench) as bench:
        session = await joined(bench)
        begun = monotonic()
        acks = await session.place_many(resting(10))
        names = [ack.client_order_id for ack in acks if isinstance(ack, Ack)]
        bucket = bench.venue.client.orders_bucket(session._signer, SPOT.symbol)
        level = bench.venue.client.ledger._buckets[bucket].level(monotonic())
        assert len(names) == 10 and level >= carefully(quick.orders).size - 10 / 2
        await asyncio.gather(*(session.cancel(name) for name in names[:5]))
        assert len(await session.cancel_many(names[5:])) == 5
        assert (await session.open_orders(), bench.server.refused) == ((), [])
        assert monotonic() - begun > (10 / 2 + 10 * 8 - 70) / 60, "it was waited for"


# --- Answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "ack_first", "late"])
async def test_an_order_is_one_whether_its_answer_or_its_execution_comes_first(bench: SocketBench, kind: str) -> None:
    session = await joined(bench)
    following = await Following(session).read()
    if kind:
        bench.server.faults.add(kind, "add_order", times=2, seconds=0.05)
    entry, protection = await asyncio.gather(session.place(request(BUY, "2")), session.place(limit(BUY, "1", 900)))
    await until(lambda: bool(session._tape.fills) and bench._all_is_heard())
    await following.read()
    await following.read()
    assert [(fill.client_order_id, fill.venue_order_id) for fill in following.fills] == [
        (entry.client_order_id, entry.venue_order_id)
    ]
    assert session._tape.orders.keys() == {entry.venue_order_id, protection.venue_order_id}
    assert await status(session, entry.client_order_id) == (OrderStatus.FILLED, 2)
    assert await status(session, protection.client_order_id) == (OrderStatus.WORKING, 0)


async def test_answers_belong_to_their_requests_in_whatever_order_they_come(bench: SocketBench) -> None:
    session, orders = await joined(bench), resting(3)
    bench.server.faults.add("late", "add_order", seconds=0.1)
    acks = await asyncio.gather(*(session.place(order) for order in orders))
    there = {row.client_order_id: row.venue_order_id for row in await session.open_orders()}
    assert {ack.client_order_id: ack.venue_order_id for ack in acks} == there
    assert [ack.client_order_id for ack in acks] == [order.client_order_id for order in orders]


async def test_an_order_in_flight_when_the_stream_broke_is_told_by_the_next_one_and_sent_by_nobody(
    bench: SocketBench,
) -> None:
    session, order = await joined(bench), limit(BUY, "1", 900)
    following = await Following(session).read()
    bench.server.faults.add("drop", "add_order")
    with pytest.raises(NoAnswer):
        await session.place(order)
    await session.joined()
    known = session._tape.order(order.client_order_id)
    assert known is not None and known.report.status is OrderStatus.WORKING
    with pytest.raises(DuplicateOrder):
        await session.place(order)
    await bench.moves_to(890)
    await following.read()
    assert [(fill.client_order_id, fill.quantity) for fill in following.fills] == [(order.client_order_id, 1)]
    bench.server.faults.add("drop", "amend_order")
    (rests,) = await placed(session, limit(BUY, "1", 800))
    with pytest.raises(NoAnswer):
        await session.amend(rests, D(2))
    await session.joined()
    found = await session.look_up(rests)
    assert found is not None and found.quantity == 2
    assert bench.placings() == 2


async def test_a_token_lasts_as_long_as_its_stream_and_one_that_is_forgotten_is_renewed(bench: SocketBench) -> None:
    session, tokens = await joined(bench), lambda: bench.server.asked.count("GetWebSocketsToken")
    for _ in range(20):
        await bench.moves_to(1000)
    await session.place(request(BUY, "1"))
    assert tokens() == 1
    bench.server.faults.add("late", "add_order", seconds=0.2)
    slow = asyncio.create_task(session.place(request(BUY, "1")))
    await until(lambda: bench.placings() == 2)
    bench.server.tokens.clear()
    order = request(BUY, "1")
    with pytest.raises(StaleToken) as caught:
        await session.place(order)
    assert caught.value.next is Next.RETRY
    plain = await impatient(session).place(request(BUY, "1"))
    assert bench.server.asked.count("AddOrder") == 1 and plain.venue_order_id
    assert (await slow).venue_order_id, "what was under way was waited for"
    await session.place(order)
    assert (tokens(), bench.server.asked.count("add_order")) == (2, 4)
    assert sum(position.quantity for position in await session.positions()) == 4


async def test_what_the_stream_says_no_with_means_what_it_means_over_http(bench: SocketBench) -> None:
    session = await joined(bench)
    texts = (
        ("EOrder:Insufficient funds", InsufficientFunds, Next.FINAL),
        ("EGeneral:Permission denied", protocol.NoRight, Next.FINAL),
        ("Limit_price field must be a number_float", Refused, Next.FINAL),
        ("Unsupported field: 'x' for the given msg type: add_order", Refused, Next.FINAL),
        ("EService:Deadline elapsed", Refused, Next.FINAL),
        ("EService:Unavailable", protocol.Closed, Next.RETRY),
        ("EService:Market in cancel_only mode", protocol.Closed, Next.RETRY),
        ("EOrder:Rate limit exceeded", Busy, Next.RETRY),
        ("EGeneral:Internal error", NoAnswer, Next.UNKNOWN),
        ("EOrder:cl_ord_id already exists among the open orders", DuplicateOrder, Next.UNKNOWN),
        ("Something that nobody has heard of", NoAnswer, Next.UNKNOWN),
    )
    for text, kind, following in texts:
        bench.server.faults.add("error", "add_order", text=text)
        with pytest.raises(VenueError) as caught:
            await session.place(request(BUY, "1"))
        assert (type(caught.value), caught.value.next) == (kind, following), text
    assert await session.positions() == ()
    assert len(texts) == bench.placings(), "nobody sent anything again"


# --- Several at once ------------------------------------------------------------------------------


async def test_a_batch_that_is_refused_whole_leaves_nothing_and_each_may_go_by_itself(bench: SocketBench) -> None:
    session, orders = await joined(bench), resting(3)
    bench.server.faults.add("error", "batch_add", text="EOrder:Order minimum not met")
    told = await session.place_many(orders)
    assert {type(one) for one in told} == {BatchRefused} and BatchRefused.next is Next.RETRY
    assert await session.open_orders() == ()
    assert len(await placed(session, *orders)) == 3


async def test_a_batch_is_of_one_pair_one_urgency_and_fifteen_at_most(bench: SocketBench) -> None:
    session = await joined(bench)
    with pytest.raises(ValueError, match="one instrument"):
        await session.place_many([limit(BUY, "1", 900), limit(BUY, "1", 900, symbol="BTC/USD")])
    await session.place(request(BUY, "2"))
    before = len(bench.server.asked)
    orders = [limit(BUY, "0.1", 900 + n) for n in range(16)]
    told = await session.place_many([*orders, stop(SELL, "1", 950), stop(SELL, "1", 940)])
    assert {type(one) for one in told} == {Ack}
    assert bench.server.asked[before:] == ["batch_add", "batch_add", "add_order"]
    assert told[16].venue_order_id < told[0].venue_order_id, "what protects goes first"  # type: ignore[union-attr]
    await bench.moves_to(945)
    names = [order.client_order_id for order in orders]
    triggered = told[16].client_order_id  # type: ignore[union-attr]
    gone = await session.cancel_many([*names[:2], triggered])
    assert [getattr(one, "status", type(one)) for one in gone] == [*[OrderStatus.CANCELLED] * 2, OrderNotOpen]


async def test_a_name_in_a_batch_is_taken_before_the_batch_is_sent_and_free_if_it_never_is(bench: SocketBench) -> None:
    session, entries = await joined(bench), resting(2)
    await session.place(request(BUY, "2"))
    exits = [stop(SELL, "1", 950), stop(SELL, "1", 940)]
    bench.server.faults.add("late", "batch_add", seconds=0.1)
    both = asyncio.create_task(session.place_many([*entries, *exits]))
    await until(lambda: "batch_add" in bench.server.asked)
    with pytest.raises(DuplicateOrder):  # it waits behind the exits
        await session.place(entries[0])
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
    assert len(await placed(session, *entries)) == 2
    with pytest.raises(DuplicateOrder):  # it left, and may be there
        await session.place(exits[0])


def test_an_answer_in_a_batch_belongs_to_the_order_that_it_names_or_to_the_one_in_its_place() -> None:
    orders = [Ready(order, {}, None, Priority.ENTRY) for order in resting(2)]
    one, two = ({"order_id": f"O{n}", "cl_ord_id": order.request.client_order_id} for n, order in enumerate(orders))
    assert matched(orders, [two, one]) == [one, two]
    assert matched(orders, [two]) == [{}, two]
    assert matched(orders, [{"order_id": "O0"}, {"error": "no"}]) == [{"order_id": "O0"}, {"error": "no"}]
    assert matched(orders, [{"order_id": "O0"}]) == matched(orders, None) == matched(orders, {}) == [{}, {}]


# --- What was recorded ----------------------------------------------------------------------------


@beside
def test_recorded_requests_are_what_is_sent_and_recorded_answers_are_understood() -> None:
    import json

    recorded = {
        text
        for label in ("cancel_order.request", "batch_cancel.request", "add_order.request", "batch_add.request")
        for text in messages(label)
    }
    by_name = stream_orders.params("CancelOrder", {"cl_ord_id": "a-uuid"}, "")
    by_id = stream_orders.params("CancelOrder", {"txid": "1V7PZA-L5RIM-RX2G6B"}, "")
    both: dict[str, object] = {"orders": ["IY8YF6-Y6LCR-AMZD7P", "XR6VND-GLY6K-DL33TB"]}
    assert stream_orders.message("cancel_order", 0, by_name, "thatToken") in recorded
    assert stream_orders.message("cancel_order", 0, by_id, "thatToken") in recorded
    assert stream_orders.message("batch_cancel", 0, both, "theirToken") in recorded
    for text in recorded:
        said = json.loads(text, parse_float=D)
        assert checked(said["method"], dict(said["params"])), "the server takes what Kraken took"
    fields = {"type": "buy", "ordertype": "limit", "volume": D("5.0"), "price": D("0.95"), "cl_ord_id": "client-zero"}
    sent = json.loads(
        stream_orders.message("add_order", 0, stream_orders.params("AddOrder", fields, "USDC/USD"), "t"), parse_float=D
    )
    (took,) = [json.loads(text, parse_float=D) for text in messages("add_order.request")]
    assert sent["params"].items() - {("token", "t")} <= took["params"].items()
    answers = {
        label: json.loads(messages(label)[0]) for label in ("add_order.ack", "amend_order.ack", "cancel_order.ack")
    }
    assert stream_orders.result("AddOrder", answers["add_order.ack"]) == {"txid": ["OPS23M-VS41G-DDE5Z2"]}
    assert stream_orders.result("AmendOrder", answers["amend_order.ack"]) == {"amend_id": "1M2JV8-OEJZD-G5GSBF"}
    assert stream_orders.result("CancelOrder", answers["cancel_order.ack"]) == {"count": 1}
    errors = [json.loads(text)["error"] for text in (*messages("add_order.error"), *messages("amend_order.error"))]
    assert {protocol.error(text).next for text in errors} == {Next.FINAL}


def test_numbers_are_written_exactly_and_with_a_point() -> None:
    said = {"a": D("0.10"), "b": D(1000), "c": [D("1E+3"), "x", True], "d": {"e": D("0.00000001")}}
    assert stream_orders.written(said) == '{"a":0.1,"b":1000.0,"c":[1000.0,"x",true],"d":{"e":0.00000001}}'
