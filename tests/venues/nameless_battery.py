"""The conformance battery for venues that know no order ids of ours: all of the battery, and what their histories must tell."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from signalist.domain.orders import OrderStatus, OrderType, Side
from signalist.venues.base import PastOrder, Session, TellsHistory
from signalist.venues.errors import CannotKnow, Next, Refused
from tests.venues.battery import Battery, Bench, limit, placed, request, stop

BUY, SELL = Side.BUY, Side.SELL
LONG_AGO = timedelta(days=365)


def historian(session: Session) -> TellsHistory:
    """The session as one that tells its history."""
    assert isinstance(session, TellsHistory)
    return session


async def all_there_were(bench: Bench, session: Session) -> tuple[PastOrder, ...]:
    """Every order of the account in the perpetual."""
    return await historian(session).history("ABC-PERP", bench.now() - LONG_AGO)


class NamelessBattery(Battery):
    """Each test gets a `bench` of a venue whose `order_identity` is none."""

    async def assert_never_there(self, session: Session, client_order_id: str) -> None:
        """The venue cannot say, and says so; its history has nothing."""
        with pytest.raises(CannotKnow) as caught:
            await session.look_up(client_order_id)
        assert caught.value.next is Next.UNKNOWN

    async def test_nothing_that_is_told_carries_an_id_of_ours(self, bench: Bench) -> None:
        session = bench.account()
        ack = await session.place(request(BUY, "2"))
        rests = await session.place(stop(SELL, "2", 950))
        reports = await session.reports("")
        found = await session.look_up(rests.venue_order_id)
        assert found is not None
        told = [ack, rests, found, *reports.orders, *reports.fills, *await session.open_orders()]
        told += [await session.amend(rests.venue_order_id, Decimal(1)), await session.cancel(rests.venue_order_id)]
        assert {line.client_order_id for line in told} == {""}
        assert all(line.venue_order_id for line in told)

    async def test_the_history_tells_every_order_with_its_terms_and_what_became_of_it(self, bench: Bench) -> None:
        session = bench.account()
        entry, under, gone = await placed(session, request(BUY, "2"), stop(SELL, "2", 950), limit(BUY, "1", 900))
        await session.cancel(gone)
        told = {past.venue_order_id: past for past in await all_there_were(bench, session)}
        assert told.keys() == {entry, under, gone}
        assert (told[entry].status, told[entry].filled, told[entry].type) == (OrderStatus.FILLED, 2, OrderType.MARKET)
        assert (told[entry].side, told[entry].quantity, told[entry].price, told[entry].trigger) == (BUY, 2, None, None)
        assert (told[under].status, told[under].trigger, told[under].reduce_only) == (OrderStatus.WORKING, 950, True)
        assert (told[gone].status, told[gone].price, told[gone].filled) == (OrderStatus.CANCELLED, 900, 0)

    async def test_the_history_begins_where_it_is_asked_to(self, bench: Bench) -> None:
        session = bench.account()
        await placed(session, limit(BUY, "1", 900))
        await bench.moves_to(1000)
        (late,) = await placed(session, limit(BUY, "2", 900))
        told = await historian(session).history("ABC-PERP", bench.now() - timedelta(seconds=5))
        assert [past.venue_order_id for past in told] == [late]
        assert abs(told[0].time - bench.now()) < timedelta(seconds=5)

    async def test_the_history_is_of_one_symbol_and_one_account_and_has_nothing_that_was_refused(
        self, bench: Bench
    ) -> None:
        session, other = bench.account(), bench.account()
        await placed(other, request(BUY, "1"))
        with pytest.raises(Refused):
            await session.place(request(BUY, "0"))
        assert await all_there_were(bench, session) == ()
        (ours,) = await placed(session, request(BUY, "1"))
        assert [past.venue_order_id for past in await all_there_were(bench, session)] == [ours]
        assert await historian(session).history("ABC-USD", bench.now() - LONG_AGO) == ()
