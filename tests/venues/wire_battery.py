"""The battery's cards for venues that are reached over a wire: what may go wrong on it, and what must be true all the same.

A venue's own test module derives a `Test…` class from `WireBattery` and offers the fixture `bench`, which is a `WireBench`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

import pytest

from signalist.domain.orders import OrderStatus
from signalist.venues.base import Ack, PlacesMany, Session, TellsReturns
from signalist.venues.errors import BadCredential, Busy, DuplicateOrder, InsufficientFunds, Next, Refused, VenueError
from tests.venues.battery import (
    BUY,
    DEPOSIT,
    SELL,
    Bench,
    Following,
    Trades,
    held,
    limit,
    name,
    placed,
    request,
    status,
    stop,
)
from tests.venues.cards import card
from tests.venues.loopback_bench import until

D = Decimal
IN_FLIGHT = ("lost", "drop", "error_after", "empty")


class WireBench(Bench, Protocol):
    """A venue behind a wire. The account that is meant is the one that was opened last."""

    def elsewhere(self, secret: str | None = None) -> Session:
        """The account, opened by another process; with another secret where one is given."""
        ...

    def skew(self, seconds: float) -> None:
        """The venue's clock is so far ahead of ours."""
        ...

    def fault(self, kind: str, call: str = "place", times: int = 1) -> None:
        """One of: lost, drop, error_after, empty, busy (for "place" or "cancel"); twice, gap (what the stream says)."""
        ...

    def heal(self) -> None:
        """All faults are over."""
        ...

    def maintains(self, on: bool) -> None:
        """The venue is in maintenance, or is no more."""
        ...

    def is_joined(self) -> bool:
        """Whether the account is on a stream."""
        ...

    async def cut(self) -> None:
        """All streams end."""
        ...

    def placings(self) -> int:
        """How many orders the venue has been asked to take."""
        ...


class WireBattery(Trades):
    """Derive `Test…` from it and offer the fixture `bench`."""

    @card(2)
    async def test_a_wrong_secret_opens_nothing_and_harms_nobody(self, bench: WireBench) -> None:
        session = bench.account()
        thief = bench.elsewhere("d3Jvbmc=")
        for attempt in (thief.balance(), thief.place(request(BUY, "1"))):
            with pytest.raises(BadCredential):
                await attempt
        assert await held(session) == 0
        await placed(session, request(BUY, "1"))
        assert await held(session) == 1

    @card(3)
    @pytest.mark.parametrize("ahead", [-40.0, 40.0])
    async def test_a_deadline_means_the_same_moment_whatever_the_venues_clock_says(
        self, bench: WireBench, ahead: float
    ) -> None:
        session = bench.account()
        bench.skew(ahead)
        await session.balance()
        await placed(session, request(BUY, "1", expires_at=bench.now() + timedelta(seconds=20)))
        assert await held(session) == 1

    @card(33)
    async def test_an_entry_past_its_deadline_is_not_taken(self, bench: WireBench) -> None:
        session = bench.account()
        before = bench.placings()
        with pytest.raises(VenueError) as caught:
            await session.place(request(BUY, "1", expires_at=bench.now() - timedelta(seconds=1)))
        assert caught.value.next in (Next.FINAL, Next.RETRY)
        assert (await held(session), bench.placings()) == (0, before)

    @card(4)
    async def test_questions_at_the_same_time_are_all_answered(self, bench: WireBench) -> None:
        session = bench.account()
        answers = await asyncio.gather(*(session.balance() for _ in range(12)))
        assert {answer.total for answer in answers} == {DEPOSIT}

    @card(4)
    async def test_processes_that_take_turns_do_not_take_each_others_numbers(self, bench: WireBench) -> None:
        session = bench.account()
        other = bench.elsewhere()
        for one in (session, other, session, other, session):
            assert (await one.balance()).total == DEPOSIT

    @card(26)
    async def test_what_is_refused_for_its_number_was_not_looked_at_and_may_be_sent_again(
        self, bench: WireBench
    ) -> None:
        session = bench.account()
        bench.fault("busy")
        order = request(BUY, "1")
        with pytest.raises(Busy) as caught:
            await session.place(order)
        assert caught.value.next is Next.RETRY
        assert await held(session) == 0
        await session.place(order)
        assert await held(session) == 1

    @card(27)
    async def test_in_maintenance_nothing_is_taken_and_what_rests_stays(self, bench: WireBench) -> None:
        session = bench.account()
        await placed(session, limit(BUY, "1", 900))
        bench.maintains(True)
        order = request(BUY, "1")
        with pytest.raises(Busy) as caught:
            await session.place(order)
        assert caught.value.next is Next.RETRY
        assert [o.quantity for o in await session.open_orders()] == [1]
        bench.maintains(False)
        await session.place(order)
        assert await held(session) == 1

    @card(28)
    @pytest.mark.parametrize("kind", IN_FLIGHT)
    async def test_an_order_whose_answer_is_lost_is_unknown_and_looked_up(self, bench: WireBench, kind: str) -> None:
        session = bench.account()
        order, before = request(BUY, "1"), bench.placings()
        bench.fault(kind)
        with pytest.raises(VenueError) as caught:
            await session.place(order)
        assert caught.value.next is Next.UNKNOWN
        bench.heal()
        found = await session.look_up(order.client_order_id)
        assert (found is None) == (kind == "lost")
        assert await held(session) == (0 if kind == "lost" else 1)
        assert bench.placings() == before + 1, "nobody sent it again"
        if found is not None:
            fills = (await session.reports("")).fills
            assert [(fill.client_order_id, fill.quantity) for fill in fills] == [(order.client_order_id, D(1))]

    @card(15)
    async def test_a_cancel_whose_answer_is_lost_is_found_out(self, bench: WireBench) -> None:
        session = bench.account()
        (order,) = await placed(session, limit(BUY, "1", 900))
        bench.fault("drop", "cancel")
        with pytest.raises(VenueError) as caught:
            await session.cancel(order)
        assert caught.value.next is Next.UNKNOWN
        assert await status(session, order) == (OrderStatus.CANCELLED, 0)

    async def test_orders_in_one_batch_are_answered_each_for_itself_and_cancelled_together(
        self, bench: WireBench
    ) -> None:
        session = bench.account()
        assert isinstance(session, PlacesMany) and bench.venue.capabilities.batch >= 4
        good, other, dear = limit(BUY, "1", 900), limit(BUY, "1", 901), limit(BUY, "100", 902)
        told = await session.place_many([good, dear, replace(other, quantity=D("1.0001")), other, good])
        assert [type(one) for one in told] == [Ack, InsufficientFunds, Refused, Ack, DuplicateOrder]
        resting = {one.client_order_id: one.venue_order_id for one in await session.open_orders()}
        assert resting == {one.client_order_id: one.venue_order_id for one in told if isinstance(one, Ack)}
        names = [good.client_order_id, other.client_order_id]
        gone = await session.cancel_many([*names, str(uuid.uuid4())])
        assert [getattr(one, "status", None) for one in gone] == [OrderStatus.CANCELLED] * 2 + [None]
        assert isinstance(gone[2], VenueError)
        assert await session.open_orders() == ()

    @card(29)
    @pytest.mark.parametrize("kind", ["none", "twice", "gap", "cut"])
    async def test_whatever_the_stream_does_all_is_told_once(self, bench: WireBench, kind: str) -> None:
        session = bench.account()
        woken: list[int] = []
        returned: list[int] = []
        session.listen(lambda: woken.append(1))
        assert isinstance(session, TellsReturns)
        session.returns(lambda: returned.append(1))
        await until(bench.is_joined)
        following = await Following(session).read()
        if kind == "cut":
            await bench.cut()
        elif kind != "none":
            bench.fault(kind, times=3)
        entry, protection = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
        await bench.moves_to(940)
        for _ in range(200):
            if len((await following.read()).fills) >= 2:
                break
            await asyncio.sleep(0.02)
        await following.read()
        assert [name(fill) for fill in following.fills] == [entry, protection]
        assert {order.status for order in following.orders.values()} == {OrderStatus.FILLED}
        if kind == "cut":
            await until(lambda: bool(returned))

    @card(30)
    async def test_another_process_takes_up_where_one_ended(self, bench: WireBench) -> None:
        session = bench.account()
        following = await Following(session).read()
        entry, rests = await placed(session, request(BUY, "2"), stop(SELL, "2", 950))
        await following.read()
        last = request(BUY, "1")
        await placed(session, last)
        other = bench.elsewhere()
        assert (await other.look_up(rests)) is not None
        assert [order.trigger for order in await other.open_orders()] == [950]
        taking_up = Following(other)
        taking_up.cursor = following.cursor
        await taking_up.read()
        fills = {fill.venue_fill_id: fill for fill in (*following.fills, *taking_up.fills)}
        assert {name(fill) for fill in fills.values()} == {entry, last.client_order_id}
        assert sum(fill.quantity for fill in fills.values()) == 3
        amended = await other.amend(rests, D(1))
        assert amended.quantity == 1
        assert (await other.cancel(rests)).status is OrderStatus.CANCELLED

    @card(32)
    async def test_money_and_fees_are_in_the_currency_of_the_account(self, bench: WireBench) -> None:
        session = bench.account()
        await placed(session, request(BUY, "1"))
        reports = await session.reports("")
        assert {reports.balance.currency} == {fill.fee_currency for fill in reports.fills} == {bench.perpetual.quote}
