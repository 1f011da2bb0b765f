"""The paper venue under the conformance battery, over its tables and over books in memory."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from signalist.accounts.paper_store import PaperStore
from signalist.venues.paper.venue import CAPABILITIES
from tests.venues.battery import Battery
from tests.venues.nameless_battery import NamelessBattery
from tests.venues.paper_bench import TERMS, MemoryStore, PaperBench

NAMELESS = replace(CAPABILITIES, order_identity="none")
IN_PARTS = replace(TERMS, partial_chance=Decimal(1))


class TestPaperVenueInMemory(Battery):
    """The exchange and its desk alone."""

    @pytest.fixture
    def bench(self) -> PaperBench:
        return PaperBench(MemoryStore())

    @pytest.fixture
    def partial(self) -> PaperBench:
        return PaperBench(MemoryStore(), IN_PARTS)


class TestPaperVenueThatKnowsNoIdsOfOurs(NamelessBattery):
    """The exchange as a venue that tells orders by its own ids only."""

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

    @pytest.fixture
    def bench(self) -> PaperBench:
        return PaperBench(PaperStore())

    @pytest.fixture
    def partial(self) -> PaperBench:
        return PaperBench(PaperStore(), IN_PARTS)
