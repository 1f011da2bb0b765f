"""Fills that Kraken tells long after the orders that they belong to: none is lost, and one that never comes is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from signalist.accounts.sessions import Sessions
from signalist.domain.orders import OrderStatus
from signalist.venues.base import HasArrears, Session
from signalist.venues.kraken.arrears import ASKED_FOR, HELD_BACK
from signalist.venues.kraken.venue import KrakenVenue
from tests.venues.battery import BUY, SELL, Following, Traded, placed, request, stop
from tests.venues.kraken_bench import SPOT, KrakenBench, served
from tests.venues.loopback_bench import until
from tests.venues.paper_bench import TERMS

D = Decimal
HOURS = timedelta(hours=5)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KrakenBench]:
    """The market takes what rests in two parts."""
    monkeypatch.setattr(Traded, "symbol", SPOT.symbol)
    async with served(replace(TERMS, partial_chance=D(0))) as bench:
        bench.server.house.in_parts = True
        yield bench


def passes(bench: KrakenBench, time: timedelta) -> None:
    bench.clock.advance_to(bench.clock.now() + time)


async def an_old_stop(bench: KrakenBench, session: Session) -> tuple[Following, str]:
    """Two are held, a stop for them has rested for hours, and all that was filled has been read."""
    following = await Following(session).read()
    await placed(session, request(BUY, "2"))
    (protection,) = await placed(session, stop(SELL, "2", 950))
    passes(bench, HOURS)
    await following.read()
    assert sum(fill.quantity for fill in following.fills) == 2
    following.fills.clear()
    return following, protection


async def goes_on(bench: KrakenBench, following: Following, quantity: str) -> int:
    """Read every eleven seconds until so much of the stop is told as filled; how often it took."""
    looks = 0
    while sum((fill.quantity for fill in following.fills), D(0)) < D(quantity) and looks < 60:
        await following.read()
        passes(bench, timedelta(seconds=11))
        looks += 1
    return looks


async def test_an_old_stop_that_fills_in_part_while_the_stream_is_away_is_told_though_its_history_lags(
    bench: KrakenBench,
) -> None:
    session = bench.account()
    session.listen(lambda: None)
    await until(bench.is_joined)
    following, protection = await an_old_stop(bench, session)
    bench.server.streams.closed_to_all = True
    await bench.cut()
    await until(lambda: not session._desk._joined)  # type: ignore[attr-defined]
    bench.server.fills_behind = timedelta(seconds=60)
    await bench.moves_to(940)
    await following.read()
    told = following.orders[protection]
    assert (told.status, told.filled, following.fills) == (OrderStatus.PARTIAL, 1, []), (
        "its order shows it, its fills do not"
    )
    assert await goes_on(bench, following, "1") > 4
    await bench.moves_to(939)
    assert await goes_on(bench, following, "2") > 4, "closed by now, and late again"
    assert len({fill.venue_fill_id for fill in following.fills}) == len(following.fills) == 2
    bench.server.streams.closed_to_all = False
    passes(bench, timedelta(minutes=1))
    await following.read()
    asked = len(bench.server.asked)
    await following.read()
    assert not {"TradesHistory", "QueryTrades"} & set(bench.server.asked[asked:]), (
        "nothing is owed, nothing is asked for"
    )


async def test_another_process_finds_a_fill_that_was_late_for_the_one_before_it(bench: KrakenBench) -> None:
    """The first ends believing that all was told; its cursor lies behind the fill by far more than what is read again."""
    session = bench.account()
    following, protection = await an_old_stop(bench, session)
    bench.server.fills_behind = timedelta(seconds=40)
    bench.server.faults.add("hidden", "OpenOrders", times=1)  # so that the first knows nothing of it
    await bench.moves_to(940)
    await following.read()
    passes(bench, timedelta(seconds=25))
    assert following.fills == []
    following.session = bench.elsewhere()
    assert await goes_on(bench, following, "1") in (2, 3)
    (late,) = following.fills
    assert (late.client_order_id, late.quantity) == (protection, 1)


async def test_a_fill_that_never_comes_is_said_and_holds_nothing_up_for_ever(bench: KrakenBench) -> None:
    session = bench.account()
    assert isinstance(session, HasArrears) and isinstance(bench.venue, KrakenVenue)
    following, protection = await an_old_stop(bench, session)
    bench.server.fills_behind = timedelta(days=1)
    await bench.moves_to(940)
    before = (await following.read()).cursor
    await following.read()
    assert (following.cursor.rpartition(".")[2], session.arrears) == (before.rpartition(".")[2], "")
    passes(bench, HELD_BACK)
    await following.read()
    assert following.cursor.rpartition(".")[2] > before.rpartition(".")[2], "what came after it is read on"
    assert (
        f"1 of order {following.orders[protection].venue_order_id} is executed, and tells fills of 0" in session.arrears
    )
    sessions = Sessions({"kraken": bench.venue}, paper=frozenset({"kraken"}))
    account = SimpleNamespace(venue="kraken", venue_ref="account-1")
    sessions.of(account)
    sessions.heard(account, well=True)
    beat = sessions.beat(account)
    assert beat is not None and beat.is_up and beat.why == session.arrears, "the account's page says it"
    passes(bench, ASKED_FOR)
    await following.read()
    asked = len(bench.server.asked)
    await following.read()
    assert "QueryOrders" not in bench.server.asked[asked:], "nobody asks for ever"
    assert session.arrears, "and it stays said"
