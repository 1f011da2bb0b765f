"""Kraken under the conformance battery, over HTTP and WebSockets, against the server that speaks its protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest

from signalist.venues.errors import DuplicateOrder, Next
from tests.venues.battery import BUY, SELL, Battery, Bench, limit, placed, request, stop
from tests.venues.cards import BOTH_EXITS, LEVERAGE, NO_MARKET, REDUCE, SHORT, card
from tests.venues.kraken_bench import KrakenBench, served
from tests.venues.kraken_socket_bench import JoinedSession, SocketBench
from tests.venues.loopback_bench import until
from tests.venues.paper_bench import TERMS
from tests.venues.wire_battery import WireBattery

LACKS = {
    SHORT: "a spot account cannot go short",
    REDUCE: "spot orders have no reduce-only: what is sold comes out of stock (card 21)",
    LEVERAGE: "traded without leverage",
    BOTH_EXITS: "a resting exit locks its part: one rests, the other is watched",
    NO_MARKET: "says that it is unavailable, which may pass (card 27)",
}


class OnBench:
    """Orders over HTTP, and no other way."""

    make: ClassVar[type[KrakenBench]] = KrakenBench

    @pytest.fixture
    async def bench(self) -> AsyncIterator[KrakenBench]:
        async with served(make=self.make) as bench:
            yield bench
            bench.check()

    @pytest.fixture
    async def partial(self) -> AsyncIterator[KrakenBench]:
        async with served(replace(TERMS, partial_chance=Decimal(1)), make=self.make) as bench:
            yield bench


class TestKraken(OnBench, Battery):
    """What every venue does, as far as a spot market does it."""

    venue_name = "kraken"
    lacks = LACKS
    without: ClassVar[Mapping[int, str]] = {35: "orders have names of ours"}

    async def test_whoever_listens_is_woken_when_there_is_news(self, bench: Bench) -> None:
        """As in the battery, with time for the stream to get here."""
        session, other = bench.account(), bench.account()
        woken: list[str] = []
        session.listen(lambda: woken.append("session"))
        other.listen(lambda: woken.append("other"))
        await placed(session, request(BUY, "1"), stop(SELL, "1", 950))
        await until(lambda: "session" in woken and "other" in woken)
        await session.reports("")
        woken.clear()
        await bench.moves_to(940)
        await until(lambda: bool(woken))
        assert set(woken) == {"session"}


class TestKrakenWire(OnBench, WireBattery):
    """What may go wrong on the way there."""

    venue_name = "kraken"


class TestKrakenSocket(TestKraken):
    """The same, with orders over the private stream."""

    venue_name = "kraken stream"
    make = SocketBench


class TestKrakenSocketWire(TestKrakenWire):
    """What may go wrong on that way."""

    venue_name = "kraken stream"
    make = SocketBench

    @card(36)
    @pytest.mark.parametrize("kind", ["lost", "drop", "unanswered", "empty", "malformed"])
    async def test_orders_of_a_batch_whose_answer_is_lost_are_unknown_and_looked_up(
        self, bench: SocketBench, kind: str
    ) -> None:
        session, orders = bench.account(), [limit(BUY, "1", 900 + n) for n in range(3)]
        assert isinstance(session, JoinedSession)
        await session.joined()
        bench.server.faults.add(kind, "batch_add")
        session._within = 0.3 if kind == "unanswered" else session._within
        told = await session.place_many(orders)
        assert [getattr(one, "next", None) for one in told] == [Next.UNKNOWN] * 3
        for order in orders:
            found = await session.look_up(order.client_order_id)
            assert (found is None) == (kind == "lost")
            with pytest.raises(DuplicateOrder):
                await session.place(order)
        assert (bench.server.asked.count("batch_add"), bench.placings()) == (1, 0)
