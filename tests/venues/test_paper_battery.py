"""The paper venue under the conformance battery, over its tables and over books in memory."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from signalist.accounts.paper_store import PaperStore
from signalist.venues.paper.venue import CAPABILITIES
from tests.venues.battery import Battery
from tests.venues.cards import ONE_BY_ONE
from tests.venues.nameless_battery import NamelessBattery
from tests.venues.paper_bench import TERMS, MemoryStore, PaperBench

NAMELESS = replace(CAPABILITIES, order_identity="none")
NO_WIRE = dict.fromkeys((2, 3, 4, 26, 27, 28, 29), "no wire: it is asked in the same process") | {
    30: "tried with its books in tests/venues/test_paper.py",
    32: "one currency, told with each balance and fill in other cards",
    33: "it reads no deadlines: the one by which we send is the only one",
    36: ONE_BY_ONE,
}
HAS_NAMES = {35: "orders have names of ours"}
IN_PARTS = replace(TERMS, partial_chance=Decimal(1))


class TestPaperVenueInMemory(Battery):
    """The exchange and its desk alone."""

    venue_name = "paper"
    without = NO_WIRE | HAS_NAMES

    @pytest.fixture
    def bench(self) -> PaperBench:
        return PaperBench(MemoryStore())

    @pytest.fixture
    def partial(self) -> PaperBench:
        return PaperBench(MemoryStore(), IN_PARTS)


class TestPaperVenueThatKnowsNoIdsOfOurs(NamelessBattery):
    """The exchange as a venue that tells orders by its own ids only."""

    venue_name = "paper, nameless"
    without = NO_WIRE

    @pytest.fixture
    def bench(self) -> PaperBench:
        return PaperBench(MemoryStore(), capabilities=NAMELESS)

    @pytest.fixture
    def partial(self) -> PaperBench:
        return PaperBench(MemoryStore(), IN_PARTS, NAMELESS)


@pytest.mark.django_db
@pytest.mark.usefixtures("database_under_a_loop")
class TestPaperVenueOverItsTables(Battery):
    """The same with every answer behind a commit."""

    venue_name = "paper, tables"
    without = NO_WIRE | HAS_NAMES

    @pytest.fixture
    def bench(self) -> PaperBench:
        return PaperBench(PaperStore())

    @pytest.fixture
    def partial(self) -> PaperBench:
        return PaperBench(PaperStore(), IN_PARTS)
