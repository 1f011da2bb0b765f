"""The loopback venue: who is let in, what goes wrong on purpose, and what its stream tells without being asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from signalist.venues.base import Session
from signalist.venues.errors import (
    BadCredential,
    Busy,
    NoAnswer,
    NotSent,
    Refused,
    UnknownInstrument,
    VenueError,
)
from signalist.venues.loopback import protocol
from signalist.venues.loopback.client import Client, Signer, signed
from signalist.venues.loopback.venue import LoopbackVenue
from signalist.venues.transport.http import Call
from tests.venues.battery import BUY, SELL, Following, limit, placed, request, stop
from tests.venues.loopback_bench import LoopbackBench, secret_of, served, until

D = Decimal


@pytest.fixture
async def bench() -> AsyncIterator[LoopbackBench]:
    async with served() as bench:
        yield bench


def misbehave(bench: LoopbackBench, kind: str, session: Session | None = None, **more: Any) -> None:
    """Have the venue do something wrong with an account, or with all."""
    refs = ["*"] if session is None else [session._signer.ref]  # type: ignore[attr-defined]
    bench.server.faults.add(refs, {"kind": kind, **more})


def asked(bench: LoopbackBench) -> int:
    """How many private requests the venue has had."""
    return bench.server.counters.requests


# --- Who is let in -------------------------------------------------------------------------------


async def test_it_refuses_a_wrong_secret(bench: LoopbackBench) -> None:
    bench.account()
    venue = LoopbackVenue(Client(bench.address, bench.clock), lambda ref: b"a guess")
    with pytest.raises(BadCredential):
        await venue.open("account-1").place(request(BUY, "1"))
    await venue.close()
    assert bench.server.house.holders["account-1"].net() == {}


@pytest.mark.parametrize("change", ["body", "path", "nonce"])
async def test_it_refuses_what_was_changed_after_signing(bench: LoopbackBench, change: str) -> None:
    bench.account()
    headers = signed(Signer("account-1", secret_of("account-1")), "1", protocol.BALANCE, b"{}")
    if change == "nonce":
        headers["API-Nonce"] = "2"
    path, body = protocol.POSITIONS if change == "path" else protocol.BALANCE, b"{ }" if change == "body" else b"{}"
    answer = await bench.venue.client.http.send(Call("POST", path, body, headers))
    assert (answer.status, answer.said["error"]) == (401, "bad_credential")


async def test_it_takes_a_request_once(bench: LoopbackBench) -> None:
    bench.account()
    headers = signed(Signer("account-1", secret_of("account-1")), "7", protocol.BALANCE, b"{}")
    call = Call("POST", protocol.BALANCE, b"{}", headers)
    first, again = [await bench.venue.client.http.send(call) for _ in range(2)]
    assert (first.status, again.status, again.said["error"]) == (200, 400, "busy")


async def test_it_shows_its_books_to_nobody_without_the_token(bench: LoopbackBench) -> None:
    answer = await bench.venue.client.http.send(Call("POST", "/control/book", b"{}", {"X-Control": "guess"}))
    assert answer.status == 404


# --- What goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "is_there"),
    [
        ("bad_key", BadCredential, False),
        ("ban", Busy, False),
        ("delisted", UnknownInstrument, False),
        ("lost", NoAnswer, False),
        ("empty", NoAnswer, True),
        ("error_after", NoAnswer, True),
        ("drop", NoAnswer, True),
    ],
)
async def test_a_placing_that_goes_wrong_is_carried_out_or_not_and_the_error_says_which_may_be(
    bench: LoopbackBench, kind: str, error: type[VenueError], is_there: bool
) -> None:
    session, other = bench.account(), bench.account()
    misbehave(bench, kind, session, methods=["place"], times=1)
    order = request(BUY, "1")
    with pytest.raises(error) as raised:
        await session.place(order)
    assert type(raised.value) is error
    await placed(other, request(BUY, "1"))
    # The key of a banned account is left alone by our own ledger, so the venue's book is read.
    holder = bench.server.house.holders["account-1"]
    assert (holder.order(order.client_order_id) is not None) is is_there


async def test_a_ban_says_for_how_long_and_holds_nobody_else_back(bench: LoopbackBench) -> None:
    session, other = bench.account(), bench.account()
    misbehave(bench, "ban", session, seconds=7)
    with pytest.raises(Busy) as banned:
        await session.balance()
    assert banned.value.after == 7
    assert (await other.balance()).total == 10_000


async def test_a_slow_answer_is_no_answer_and_the_order_turns_up_later() -> None:
    async with served() as bench:
        hasty = replace(bench.venue.capabilities, answer_within=0.1)
        bench.venue = LoopbackVenue(Client(bench.address, bench.clock), secret_of, hasty)
        session = bench.account()
        misbehave(bench, "slow", session, seconds=0.3, methods=["place"])
        order = request(BUY, "1")
        with pytest.raises(NoAnswer):
            await session.place(order)
        assert await session.look_up(order.client_order_id) is None
        await until(lambda: bool(bench.server.house.holders["account-1"].net()))
        assert await session.look_up(order.client_order_id) is not None


async def test_an_order_that_is_there_may_not_be_found_for_a_while(bench: LoopbackBench) -> None:
    session = bench.account()
    (order,) = await placed(session, limit(BUY, "1", 990))
    misbehave(bench, "not_found", session, times=2)
    looks = [await session.look_up(order) for _ in range(3)]
    assert [look is None for look in looks] == [True, True, False]


async def test_a_market_order_may_be_taken_in_parts(bench: LoopbackBench) -> None:
    session = bench.account()
    misbehave(bench, "partial", times=1)
    first, second = await placed(session, request(BUY, "2"), request(BUY, "2"))
    reports = {report.client_order_id: report for report in (await session.reports("")).orders}
    assert 0 < reports[first].filled < 2
    assert reports[second].filled == 2


async def test_an_order_is_not_taken_after_its_own_deadline(bench: LoopbackBench) -> None:
    session = bench.account()
    order = request(BUY, "1", expires_at=bench.now() + timedelta(seconds=30))
    bench.clock.advance_to(bench.now() + timedelta(seconds=29))
    misbehave(bench, "slow", session, seconds=0.05, times=1)
    placing = asyncio.ensure_future(session.place(order))
    await until(lambda: asked(bench) == 1)
    bench.clock.advance_to(bench.now() + timedelta(seconds=2))
    with pytest.raises(Refused, match="deadline"):
        await placing


async def test_an_order_past_its_deadline_does_not_leave_the_house(bench: LoopbackBench) -> None:
    session = bench.account()
    with pytest.raises(NotSent):
        await session.place(request(BUY, "1", expires_at=bench.now() - timedelta(seconds=1)))
    assert asked(bench) == 0


# --- The stream ----------------------------------------------------------------------------------


async def listening(bench: LoopbackBench, session: Session) -> list[str]:
    """Have a session listen, and wait until its stream has begun; what it is woken for is counted."""
    woken: list[str] = []
    session.listen(lambda: woken.append("news"))
    box = bench.venue._listening.box(session._signer.ref)  # type: ignore[attr-defined]
    await until(lambda: box.live)
    return woken


async def test_what_the_stream_has_told_is_not_asked_for_again(bench: LoopbackBench) -> None:
    session = bench.account()
    woken = await listening(bench, session)
    following = await Following(session).read()
    assert asked(bench) == 0
    entry, protection = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
    await until(lambda: bool(woken))
    await following.read()
    await bench.moves_to(940)
    await until(lambda: len(woken) == 2)
    await following.read()
    assert [fill.client_order_id for fill in following.fills] == [entry, protection]
    holder = bench.server.house.holders["account-1"]
    reports = await session.reports(following.cursor)
    assert (reports.balance.total, reports.balance.available) == (holder.book.accounts["account-1"].cash,) * 2
    assert asked(bench) == 2  # the two orders


async def test_it_asks_the_venue_where_the_stream_has_left_something_out(bench: LoopbackBench) -> None:
    session = bench.account()
    woken = await listening(bench, session)
    following = await Following(session).read()
    misbehave(bench, "mute", session)
    await placed(session, request(BUY, "1"))
    bench.server.faults.clear()
    await placed(session, request(BUY, "1"))
    await until(lambda: bool(woken))
    await following.read()
    assert [fill.quantity for fill in following.fills] == [1, 1]


async def test_what_the_stream_tells_twice_counts_once(bench: LoopbackBench) -> None:
    session = bench.account()
    woken = await listening(bench, session)
    following = await Following(session).read()
    misbehave(bench, "twice", session)
    await placed(session, request(BUY, "1"), request(BUY, "1"))
    await until(lambda: len(woken) == 4)
    await following.read()
    assert [fill.quantity for fill in following.fills] == [1, 1]


async def test_nothing_is_missed_over_a_stream_that_breaks(bench: LoopbackBench) -> None:
    session = bench.account()
    woken = await listening(bench, session)
    following = await Following(session).read()
    (stream,) = bench.server.streams._streams.values()
    stream.wire.cut()
    await until(lambda: not bench.server.streams._streams)
    await placed(session, request(BUY, "1"))
    await following.read()
    assert [fill.quantity for fill in following.fills] == [1]
    await until(lambda: bench.venue._listening.box("account-1").live)
    woken.clear()
    before = asked(bench)
    await placed(session, request(BUY, "1"))
    await until(lambda: bool(woken))
    await following.read()
    assert len(following.fills) == 2
    assert asked(bench) == before + 1  # told by the new stream


async def test_two_processes_may_read_one_account(bench: LoopbackBench) -> None:
    session = bench.account()
    other_venue = bench.another()
    other = other_venue.open("account-1")
    await listening(bench, session)
    mine, theirs = await Following(session).read(), await Following(other).read()
    await placed(other, request(BUY, "1"))
    await until(lambda: bench.venue._listening.box("account-1").head == 1)
    await mine.read()
    await theirs.read()
    assert len(mine.fills) == len(theirs.fills) == 1
    await other_venue.close()
