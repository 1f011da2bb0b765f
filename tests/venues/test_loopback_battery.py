"""The loopback venue under the conformance battery, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest

from tests.venues.battery import BUY, SELL, Battery, Bench, placed, request, stop
from tests.venues.cards import MAINTENANCE
from tests.venues.loopback_bench import LoopbackBench, served, until
from tests.venues.paper_bench import TERMS
from tests.venues.wire_battery import WireBattery

NAMES = {35: "orders have names of ours", 27: "it has no maintenance: what it refuses for a while is card 26"}


class TestLoopbackVenue(Battery):
    """What every venue does."""

    venue_name = "loopback"
    without = NAMES

    @pytest.fixture
    async def bench(self) -> AsyncIterator[LoopbackBench]:
        async with served() as bench:
            yield bench

    @pytest.fixture
    async def partial(self) -> AsyncIterator[LoopbackBench]:
        async with served(replace(TERMS, partial_chance=Decimal(1))) as bench:
            yield bench

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


class TestLoopbackWire(WireBattery):
    """What may go wrong on the way there."""

    venue_name = "loopback"
    lacks: ClassVar[Mapping[str, str]] = {MAINTENANCE: NAMES[27]}

    @pytest.fixture
    async def bench(self) -> AsyncIterator[LoopbackBench]:
        async with served() as bench:
            yield bench
