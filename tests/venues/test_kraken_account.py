"""What is Kraken's own about an account there: rights found by trying, limits by tier, currencies, names, nonces on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from signalist.accounts.sessions import Sessions
from signalist.clock import monotonic
from signalist.domain.matching import Bar
from signalist.domain.orders import OrderStatus
from signalist.venues.base import HasStream, NetPosition
from signalist.venues.errors import (
    BadCredential,
    Busy,
    DuplicateOrder,
    InsufficientFunds,
    Next,
    NoAnswer,
    OrderNotOpen,
    Refused,
)
from signalist.venues.facts import TellsRights
from signalist.venues.kraken.account import Key
from signalist.venues.kraken.parse import read
from signalist.venues.kraken.protocol import Tier, call_cost, carefully
from signalist.venues.kraken.session import KrakenSession
from signalist.venues.kraken.tape import Cursor, Tape
from signalist.venues.kraken.venue import KrakenVenue
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.fence import fenced
from signalist.venues.transport.ledger import Draw
from signalist.venues.transport.sockets import Link
from tests.venues.battery import BUY, SELL, Following, Traded, limit, placed, request, status, stop
from tests.venues.kraken_bench import QUICK, SPOT, KrakenBench, secret_of, served
from tests.venues.kraken_server.house import ALL
from tests.venues.kraken_vectors import beside, messages
from tests.venues.loopback_bench import until

D = Decimal


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KrakenBench]:
    monkeypatch.setattr(Traded, "symbol", SPOT.symbol)
    async with served() as bench:
        yield bench


async def test_what_a_key_may_do_is_found_out_by_trying_and_nothing_is_done(bench: KrakenBench) -> None:
    session = bench.account()
    assert isinstance(session, TellsRights)
    holder = bench.server.house.holders["account-1"]
    found = {}
    for given in (ALL, ALL | {"withdraw"}, ALL - {"create"}, ALL - {"cancel"}, ALL - {"closed"}, ALL - {"stream"}):
        holder.rights = given
        found[given] = set((await session.rights()).rights)
    assert list(found.values()) == [
        {"read", "trade"},
        {"read", "trade", "withdraw"},
        {"read"},
        {"read"},
        {"trade"},
        {"trade"},
    ]
    holder.rights = ALL
    bench.server.faults.add("error", "AddOrder", text="EService:Market in cancel_only mode")
    assert set((await session.rights()).rights) == {"read", "trade"}, (
        "that one market takes no orders says nothing of the key"
    )
    assert holder.orders() == {}


async def test_a_key_that_is_none_is_said_so_before_anything_is_asked(bench: KrakenBench) -> None:
    venue = KrakenVenue(bench.client(), lambda ref: Key(ref, "not base64!"))
    with pytest.raises(BadCredential):
        venue.open("account-1")
    await venue.close()


async def test_a_tiers_limits_are_waited_for_and_never_reached() -> None:
    """Both sides count as Kraken does: 12 orders in one pair, each cancelled while it is fresh, cost 12 × (1 + 8) where 60 go at once."""
    quick = Tier("quick", Budget(15, 60.0), Budget(60, 60.0, 0.3), 60)
    async with served(tier=quick) as bench:
        session = bench.account()
        begun = monotonic()
        orders = await placed(session, *(limit(BUY, "0.1", 900, symbol=SPOT.symbol) for _ in range(12)))
        await asyncio.gather(*(session.cancel(order) for order in orders))
        assert await session.open_orders() == ()
        assert bench.server.refused == []
        assert monotonic() - begun > (12 * 9 - 60) / 60, "it was waited for"


async def test_who_is_told_that_it_asks_too_much_keeps_still(bench: KrakenBench) -> None:
    session = bench.account()
    bench.server.faults.add("error", "BalanceEx", text="EGeneral:Temporary lockout")
    with pytest.raises(Busy) as caught:
        await session.balance()
    assert caught.value.after == 900
    await bench.venue.client.pairs()
    asked = len(bench.server.asked)
    impatient = bench.venue.open("account-1")
    impatient._within = 0.05  # type: ignore[attr-defined]
    for attempt in (impatient.balance(), impatient.place(request(BUY, "1"))):
        with pytest.raises(Busy):
            await attempt
    assert len(bench.server.asked) == asked, "nothing was sent"


async def test_a_pair_whose_counter_is_full_is_left_alone_and_questions_go_on(bench: KrakenBench) -> None:
    session = bench.account()
    bench.server.faults.add("error", "AddOrder", text="EOrder:Rate limit exceeded")
    with pytest.raises(Busy):
        await session.place(request(BUY, "1"))
    client = bench.venue.client
    bucket = client.orders_bucket(session._signer, SPOT.symbol)  # type: ignore[attr-defined]
    assert client.ledger._buckets[bucket].level(monotonic()) < client.tier.orders.size
    assert (await session.balance()).total == D(10_000)


async def test_an_order_whose_turn_did_not_come_is_taken_when_it_comes_again(bench: KrakenBench) -> None:
    session, client, order = bench.account(), bench.venue.client, request(BUY, "1")
    await client.pairs()
    bucket = client.orders_bucket(session._signer, SPOT.symbol)  # type: ignore[attr-defined]
    budget = carefully(client.tier.orders)
    client.ledger.limit(bucket, budget)
    client.ledger.used(bucket, budget.size + 5 * budget.per_second)
    with pytest.raises(TimeoutError), fenced(None):
        async with asyncio.timeout(0.2):
            await session.place(order)
    client.ledger.give_back((Draw(bucket, budget.size + 5 * budget.per_second),))  # as time does
    assert (await session.place(order)).client_order_id == order.client_order_id


async def test_an_account_in_euros_has_its_money_and_its_pairs_in_euros(bench: KrakenBench) -> None:
    holder = bench.server.house.open_account("euros", b"secret of euros", D(1000), "EUR")
    bench.server.house.prices["BTC/EUR"] = D(20000)
    bench.server.house.cash_key = "ZEUR"
    venue = KrakenVenue(
        bench.client(), lambda ref: Key(ref, secret_of(ref), "EUR"), stream_at=bench.stream_at, terms=QUICK
    )
    session = venue.open("euros")
    await placed(session, request(BUY, "0.01", symbol="BTC/EUR"))
    reports = await session.reports("")
    assert await session.positions() == (NetPosition("BTC/EUR", D("0.01")),)
    assert {reports.balance.currency} == {fill.fee_currency for fill in reports.fills} == {"EUR"}
    assert reports.balance.total == holder.book.accounts["euros"].cash - reports.fills[0].price * D("0.01")
    await venue.close()


async def test_a_name_that_kraken_would_take_again_is_refused_here(bench: KrakenBench) -> None:
    """Kraken's names are unique among open orders only: what is over is known here, and never placed twice."""
    session = bench.account()
    order = request(BUY, "1")
    await session.place(order)
    before = bench.placings()
    with pytest.raises(DuplicateOrder) as caught:
        await session.place(order)
    assert (caught.value.next, bench.placings()) == (Next.UNKNOWN, before)


async def test_an_order_whose_turn_did_not_come_is_sent_again_and_one_that_left_is_not(bench: KrakenBench) -> None:
    session, order = bench.account(), request(BUY, "1")
    assert isinstance(session, KrakenSession)
    await session.balance()
    async with bench.venue.client._source(session._signer).turn(Priority.PROTECTION):
        with pytest.raises(TimeoutError), fenced(None) as house:
            async with asyncio.timeout(0.05):
                await session.place(order)
    assert not house.may_have_left
    await session.place(order)
    assert bench.placings() == 1
    bench.server.faults.add("slow", "AddOrder", seconds=0.3)
    left = request(BUY, "1")
    with pytest.raises(TimeoutError), fenced(None):
        async with asyncio.timeout(0.1):
            await session.place(left)
    with pytest.raises(DuplicateOrder):
        await session.place(left)


async def test_the_list_of_pairs_is_asked_for_once_for_all_and_keeps_no_order_waiting(bench: KrakenBench) -> None:
    client, listed = bench.venue.client, bench.server.listed
    bench.server.listed = listed | {"XODD": {"wsname": "ODD/USD", "aclass_base": "currency"}}  # cannot be read
    everybody = await asyncio.gather(*(client.pairs() for _ in range(5)))
    assert bench.server.asked.count("AssetPairs") == 1 and len(everybody[0]) == len(listed)
    client._pairs = 0.0, everybody[0]  # an hour later, and the venue hangs
    bench.server.faults.add("slow", "AssetPairs", seconds=5.0)
    begun = monotonic()
    assert await client.pairs() is everybody[0] and await client.pairs() is everybody[0]
    assert monotonic() - begun < 1.0
    bench.server.listed = {}
    other = bench.client()
    with pytest.raises(NoAnswer):
        await other.pairs()
    await other.close()


async def test_a_stop_locks_what_it_would_sell_and_is_bought_nothing_beside(bench: KrakenBench) -> None:
    session = bench.account()
    _, protection = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
    with pytest.raises(InsufficientFunds):
        await session.place(request(SELL, "1"))
    await session.amend(protection, D(1))
    await placed(session, request(SELL, "1"))
    bench.server.move(SPOT.symbol, Bar.tick(D(940)))
    assert await status(session, protection) == (OrderStatus.FILLED, 1)
    assert await session.positions() == ()


async def test_nothing_asks_for_the_switch_that_would_cancel_stops(bench: KrakenBench) -> None:
    session = bench.account()
    session.listen(lambda: None)
    await placed(session, request(BUY, "1"), stop(SELL, "1", 950))
    await until(bench.is_joined)
    await Following(session).read()
    assert not {"CancelAllOrdersAfter", "CancelAll"} & set(bench.server.asked)


async def test_nonces_go_on_where_another_process_ended_though_the_clock_went_back(bench: KrakenBench) -> None:
    session = bench.account()
    await session.balance()
    highest = bench.server.house.holders["account-1"].nonce
    bench.clock._now -= timedelta(hours=1)
    other = bench.elsewhere()
    await other.balance()
    assert bench.server.house.holders["account-1"].nonce > highest


async def test_an_order_whose_nonce_was_too_low_is_sent_again_by_its_owner_only(bench: KrakenBench) -> None:
    session = bench.account()
    await session.balance()
    bench.server.house.holders["account-1"].nonce += 5_000_000_000
    order = request(BUY, "1")
    with pytest.raises(Busy) as caught:
        await session.place(order)
    assert caught.value.next is Next.RETRY
    assert bench.server.house.holders["account-1"].orders() == {}


async def test_a_quiet_account_costs_nothing_once_its_stream_is_joined(bench: KrakenBench) -> None:
    session = bench.account()
    woken: list[int] = []
    session.listen(lambda: woken.append(1))
    await until(bench.is_joined)
    await until(lambda: bool(woken))
    following = await Following(session).read()
    await following.read()
    asked = len(bench.server.asked)
    for _ in range(10):
        await following.read()
    assert len(bench.server.asked) == asked
    await placed(session, request(BUY, "1"))
    await until(lambda: bool(session._tape.fills))  # type: ignore[attr-defined]
    asked = len(bench.server.asked)
    await following.read()
    assert ([fill.quantity for fill in following.fills], bench.server.asked[asked:]) == ([1], ["BalanceEx"])


async def test_a_look_at_a_quiet_account_fits_into_the_smallest_tier(bench: KrakenBench) -> None:
    """Without a stream: what the engine asks every minute, and the rights of the key, where 20 calls come back in a minute."""
    session = bench.account()
    following = Following(session)
    asked = len(bench.server.asked)
    await following.read()
    await asyncio.gather(session.open_orders(), session.positions(), session.balance())
    await following.read()
    assert isinstance(session, TellsRights)
    assert (await session.rights()).rights == {"read", "trade"}
    calls = bench.server.asked[asked:]
    assert "TradesHistory" not in calls, "nothing was filled"
    assert sum(call_cost(method) for method in calls if method != "AssetPairs") <= 11, calls
    await placed(session, request(BUY, "1"))
    assert len((await following.read()).fills) == 1
    assert bench.server.asked.count("TradesHistory") == 1
    await following.read()
    assert bench.server.asked.count("TradesHistory") == 1, "all that is filled has been told"


async def test_an_order_whose_cancel_is_pending_is_not_called_cancelled(bench: KrakenBench) -> None:
    session = bench.account()
    (order,) = await placed(session, limit(BUY, "1", 900, symbol=SPOT.symbol))
    bench.server.faults.add("pending", "CancelOrder")
    with pytest.raises(NoAnswer, match="still stands"):
        await session.cancel(order)
    assert await status(session, order) == (OrderStatus.WORKING, 0)
    assert (await session.cancel(order)).status is OrderStatus.CANCELLED
    (order,) = await placed(session, limit(BUY, "1", 900, symbol=SPOT.symbol))
    bench.server.faults.add("pending", "CancelOrder")
    await bench.moves_to(890)
    with pytest.raises(OrderNotOpen):
        await session.cancel(order)


async def test_a_stream_that_was_given_up_is_joined_again_once_the_venue_answers(bench: KrakenBench) -> None:
    bench.account()
    terms = replace(QUICK, pace=0.0005)
    bench.others.append(
        KrakenVenue(bench.client(), lambda ref: Key(ref, secret_of(ref)), stream_at=bench.stream_at, terms=terms)
    )
    session = bench.others[-1].open("account-1")
    assert isinstance(session, KrakenSession)
    bench.server.streams.closed_to_all = True
    session.listen(lambda: None)
    assert isinstance(session, HasStream) and session.stream_problem == ""
    await until(lambda: session._desk.state is Link.FAILED)
    sessions = Sessions({"kraken": bench.others[-1]}, paper=frozenset({"kraken"}))
    account = SimpleNamespace(venue="kraken", venue_ref="account-1")
    sessions.of(account)
    sessions.heard(account, well=True)
    beat = sessions.beat(account)
    assert beat is not None and beat.is_up
    assert beat.why == f"Its stream was given up, and the venue is asked instead: {session.stream_problem}"
    bench.server.streams.closed_to_all = False
    await asyncio.sleep(0.05)
    await session.reports("")
    await until(bench.is_joined)
    assert session.stream_problem == ""


async def test_an_amendment_off_the_steps_is_refused_before_it_counts(bench: KrakenBench) -> None:
    session = bench.account()
    _, protection = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
    with pytest.raises(Refused, match=r"multiple of 0\.1"):
        await session.amend(protection, D(1), D("950.05"))
    assert "AmendOrder" not in bench.server.asked


# --- The tape ------------------------------------------------------------------------------------


@beside
def test_recorded_executions_are_merged_by_their_order() -> None:
    tape = Tape("a")
    for text in (*messages("executions.update.pending_new")[:1], *messages("executions.update.new")):
        tape.tell_executions(read(text)["data"])
    assert [order.report.status for order in tape.orders.values()] == [OrderStatus.WORKING]
    known = tape.orders["AHOJQ8-1E72C-8M2VQH"]
    assert (known.symbol, known.side, known.report.quantity) == ("ADX/USD", BUY, D("81.36256082"))
    for text in messages("executions.snapshot.trade"):
        assert tape.tell_executions(read(text)["data"])
        tape.tell_executions(read(text)["data"])
    assert len(tape.fills) == 4, "each once, however often it is told"
    sparse = {
        "order_id": "AHOJQ8-1E72C-8M2VQH",
        "exec_type": "canceled",
        "order_status": "canceled",
        "timestamp": "2024-05-18T12:58:40.1Z",
    }
    tape.tell_executions([sparse])
    assert tape.orders["AHOJQ8-1E72C-8M2VQH"].report.status is OrderStatus.CANCELLED
    tape.tell_executions([sparse | {"exec_type": "new", "order_status": "new"}])
    assert tape.orders["AHOJQ8-1E72C-8M2VQH"].report.status is OrderStatus.CANCELLED, "what is over stays so"


def test_a_fill_of_an_order_that_was_never_told_makes_the_venue_be_asked() -> None:
    row = {
        "order_id": "O1",
        "exec_id": "T1",
        "exec_type": "trade",
        "order_status": "filled",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    assert not Tape("a").tell_executions([row | {"last_qty": D(1), "last_price": D(1)}])


def test_cursors_are_texts_and_what_is_none_is_none() -> None:
    assert Cursor.of("") is None
    assert Cursor.of("17") is None
    tape = Tape("run")
    assert tape.holds(Cursor.of(tape.cursor()))
    assert not tape.holds(Cursor.of("other.0."))
    assert len(tape.cursor()) < 100
