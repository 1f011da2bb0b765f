"""The loopback venue under the conformance battery, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest

from signalist.venues.loopback.venue import CAPABILITIES
from tests.venues.battery import BUY, SELL, Battery, Bench, placed, request, stop
from tests.venues.cards import BATCH, MAINTENANCE, ONE_BY_ONE
from tests.venues.loopback_bench import LoopbackBench, served, until
from tests.venues.nameless_battery import NamelessBattery
from tests.venues.paper_bench import TERMS
from tests.venues.wire_battery import WireBattery

NO_MAINTENANCE = {27: "it has no maintenance: what it refuses for a while is card 26"}

SAME_WIRE = dict.fromkeys((2, 3, 4, 26, 29, 30, 32, 33), "the same wire as loopback's") | {
    28: "in doubt without a name: resolved by the engine, in tests/flows/test_nameless.py",
    36: ONE_BY_ONE,
}

NAMELESS = replace(CAPABILITIES, order_identity="none")


class OverTheWire:
    """What takes its time to get here."""

    async def test_whoever_listens_is_woken_when_there_is_news(self, bench: Bench) -> None:
        """As in the battery, with time for the stream to get here."""
        session, other = bench.account(), bench.account()
        woken: list[str] = []
        session.listen(lambda: woken.append("session"))
        other.listen(lambda: woken.append("other"))
        await placed(session, request(BUY, "1"), stop(SELL, "1", 950))
        await until(lambda: "session" in woken)
        woken.clear()
        await bench.moves_to(940)
        await until(lambda: bool(woken))
        assert woken == ["session"]


class TestLoopbackVenue(OverTheWire, Battery):
    """What every venue does."""

    venue_name = "loopback"
    without: ClassVar[Mapping[int, str]] = NO_MAINTENANCE | {35: "orders have names of ours", 36: ONE_BY_ONE}

    @pytest.fixture
    async def bench(self) -> AsyncIterator[LoopbackBench]:
        async with served() as bench:
            yield bench

    @pytest.fixture
    async def partial(self) -> AsyncIterator[LoopbackBench]:
        async with served(replace(TERMS, partial_chance=Decimal(1))) as bench:
            yield bench


class TestLoopbackVenueThatKnowsNoIdsOfOurs(OverTheWire, NamelessBattery):
    """The same as a venue that tells orders by its own ids only."""

    venue_name = "loopback, nameless"
    without: ClassVar[Mapping[int, str]] = NO_MAINTENANCE | SAME_WIRE

    @pytest.fixture
    async def bench(self) -> AsyncIterator[LoopbackBench]:
        async with served(capabilities=NAMELESS) as bench:
            yield bench

    @pytest.fixture
    async def partial(self) -> AsyncIterator[LoopbackBench]:
        async with served(replace(TERMS, partial_chance=Decimal(1)), capabilities=NAMELESS) as bench:
            yield bench


class TestLoopbackWire(WireBattery):
    """What may go wrong on the way there."""

    venue_name = "loopback"
    lacks: ClassVar[Mapping[str, str]] = {MAINTENANCE: NO_MAINTENANCE[27], BATCH: ONE_BY_ONE}

    @pytest.fixture
    async def bench(self) -> AsyncIterator[LoopbackBench]:
        async with served() as bench:
            yield bench
