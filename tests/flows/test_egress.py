"""What a venue allows an address is allowed to all engines behind it together, however they come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from signalist.clock import ReplayClock
from signalist.db.units import unit
from signalist.engine.supplies import VenueMemory
from signalist.execution import egress
from signalist.execution.engines import SILENT_AFTER, ended, heartbeat
from signalist.execution.models import EngineProcess
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.ledger import Draw, RateLedger

pytestmark = pytest.mark.django_db(transaction=True)
VENUE = ("venue", "here")


class Fleet:
    """Engines that exist as rows, each with what it takes to be its part; the machine's clock is the test's."""

    def __init__(self) -> None:
        self.clock = ReplayClock(datetime(2024, 5, 6, 12, tzinfo=UTC))
        self.parts: dict[EngineProcess, int] = {}

    def engine(self, address: str = "here") -> EngineProcess:
        now = self.clock.now()
        made = EngineProcess.objects.create(boot="elsewhere", pid=1, started_at=now, seen_at=now, egress=address)
        self.parts[made] = 0
        return made

    def beat(self, *engines: EngineProcess) -> list[int]:
        """These show that they live and look; at every step all parts of an address together are no more than the whole."""
        for engine in engines:
            heartbeat(engine, self.clock)
            self.parts[engine] = egress.share(engine, self.clock)
            for address in {one.egress for one in self.parts}:
                taken = [among for one, among in self.parts.items() if one.egress == address and among]
                assert sum(Fraction(1, among) for among in taken) <= 1, taken
        return [self.parts[engine] for engine in engines]

    def silent(self, engine: EngineProcess) -> None:
        """It dies, and its process asks nothing any more."""
        self.parts[engine] = 0


def test_living_engines_of_an_address_share_its_budget_equally_and_never_have_more_than_it_together() -> None:
    fleet = Fleet()
    first = fleet.engine()
    assert fleet.beat(first) == [1], "one engine keeps the whole"
    second, elsewhere = fleet.engine(), fleet.engine("another address")
    assert fleet.beat(second, elsewhere) == [0, 1], "what the first may be using is not the second's yet"
    assert fleet.beat(first, second) == [2, 2]
    third = fleet.engine()
    fleet.beat(third, first, third, second, third)
    assert fleet.beat(first, second, third) == [3, 3, 3]
    fleet.silent(first)
    fleet.clock.advance_to(fleet.clock.now() + SILENT_AFTER - timedelta(seconds=1))
    assert fleet.beat(second, third) == [3, 3], "it may still live"
    fleet.clock.advance_to(fleet.clock.now() + timedelta(seconds=2))
    assert fleet.beat(second, third) == [2, 2]
    fleet.beat(first)
    assert fleet.parts[first] == 0, "it counts as living again, and what it had was given away"
    fleet.silent(third)
    ended(third, fleet.clock)
    fleet.beat(second, first)
    assert fleet.beat(second, first) == [2, 2]
    assert egress.share(third, fleet.clock) == 0, "one that has ended has nothing"


def test_of_two_that_reach_for_the_same_part_at_once_no_more_than_one_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet()
    mine, other = fleet.engine(), fleet.engine()
    reached: list[None] = []

    def part(others: Sequence[int], known=egress.part) -> int:  # type: ignore[no-untyped-def]
        if not reached:
            reached.append(None)
            with unit("engine.egress"):  # it looked at the same moment, saw nobody who had anything, and took all
                EngineProcess.objects.filter(pk=other.pk).update(egress_among=1)
        return known(others)

    monkeypatch.setattr(egress, "part", part)
    assert egress.share(mine, fleet.clock) == 0
    mine.refresh_from_db()
    assert mine.egress_among == 0, "and it does not keep the other one from having it"


async def test_an_engines_ledgers_hold_its_part_of_the_address_and_all_of_what_is_its_credentials() -> None:
    memory = VenueMemory()
    ledger = memory.of("venue").ledger
    address = (*memory.of("venue").address, "connections")
    budget = Budget(4, 20, entry_reserve=0, read_reserve=0)
    for key in (address, ("orders", "a key")):
        ledger.limit(key, budget)
    assert ledger.last_delay(address, 100) == pytest.approx(96 / 20)
    memory.share(2)
    assert ledger.last_delay(address, 100) == pytest.approx(98 / 10), "the delay of the last is that of the part"
    assert ledger.last_delay(("orders", "a key"), 100) == pytest.approx(96 / 20)
    assert [ledger.admit_now([Draw(address)], Priority.ENTRY) for _ in range(3)] == [True, True, False]
    memory.share(0)
    ledger.limit((*address, "later"), budget)
    assert ledger.last_delay(address, 1) == ledger.last_delay((*address, "later"), 1) == float("inf")
    waiting = asyncio.create_task(ledger.admit([Draw(address)], Priority.PROTECTION))
    await asyncio.sleep(0.15)
    assert not waiting.done() and ledger.waiting() == 1
    memory.share(1)
    assert not ledger.admit_now([Draw(address)], Priority.ENTRY), (
        "it begins empty: others may have used what was theirs"
    )
    async with asyncio.timeout(2):
        await waiting
    assert memory.of("another").ledger.last_delay(("another",), 1) == 0


def test_what_is_in_a_bucket_never_grows_with_its_part() -> None:
    now = [0.0]
    ledger = RateLedger(lambda: now[0])
    ledger.share(VENUE, 4)
    ledger.limit(VENUE, Budget(8, 4, entry_reserve=0, read_reserve=0))
    assert ledger.last_delay(VENUE, 4) == 2.0
    ledger.share(VENUE, 1)
    went = [ledger.admit_now([Draw(VENUE)], Priority.ENTRY) for _ in range(3)]
    assert went == [True, True, False]
    now[0] = 1.0
    assert sum(ledger.admit_now([Draw(VENUE)], Priority.ENTRY) for _ in range(9)) == 4, "and it fills at the whole pace"
