"""The rate ledger on a real event loop: who goes when, and who holds up whom."""

from __future__ import annotations

import asyncio
import time

import pytest

from signalist.venues.transport.budgets import Bucket, Budget, Priority
from signalist.venues.transport.ledger import Draw, RateLedger

PROTECTION, ENTRY, READ = Priority
VENUE = "venue"


def ledger_of(**budgets: Budget) -> RateLedger:
    ledger = RateLedger()
    for key, budget in budgets.items():
        ledger.limit(key, budget)
    return ledger


async def noted(ledger: RateLedger, went: list[str], name: str, priority: Priority, *keys: str) -> None:
    await ledger.admit([Draw(key) for key in keys or (VENUE,)], priority)
    went.append(name)


async def test_what_has_room_goes_at_once() -> None:
    ledger = ledger_of(venue=Budget(3, 0.001, entry_reserve=0, read_reserve=0))
    async with asyncio.timeout(1):
        for _ in range(3):
            await ledger.admit([Draw(VENUE), Draw("without a budget", 1e9)], ENTRY)
    assert ledger.waiting() == 0


async def test_of_those_that_wait_what_matters_more_goes_first_and_equals_in_turn() -> None:
    ledger, went = ledger_of(venue=Budget(1, 50, entry_reserve=0, read_reserve=0)), list[str]()
    await ledger.admit([Draw(VENUE)], ENTRY)
    asked = [("read", READ), ("first entry", ENTRY), ("second entry", ENTRY), ("stop", PROTECTION)]
    await asyncio.gather(*(noted(ledger, went, name, priority) for name, priority in asked))
    assert went == ["stop", "first entry", "second entry", "read"]


async def test_a_stop_leaves_at_once_though_five_thousand_entries_of_a_boundary_wait_on_the_same_budget() -> None:
    ledger, went = ledger_of(venue=Budget(20, 100, entry_reserve=0.25, read_reserve=0.5)), list[str]()
    entries = [asyncio.create_task(noted(ledger, went, "entry", ENTRY)) for _ in range(5000)]
    await asyncio.sleep(0.1)
    begun, before = time.monotonic(), len(went)
    async with asyncio.timeout(5):
        await asyncio.gather(*(noted(ledger, went, "stop", PROTECTION) for _ in range(25)))
    took = time.monotonic() - begun
    assert took < 25 / 100 + 0.3, "the budget's own time, of which the entries had left a reserve"
    assert went[before:].count("entry") <= 3
    assert ledger.waiting() > 4900
    for task in entries:
        task.cancel()
    await asyncio.gather(*entries, return_exceptions=True)


async def test_the_rate_is_kept_over_many() -> None:
    ledger, went = ledger_of(venue=Budget(10, 200, entry_reserve=0, read_reserve=0)), list[str]()
    begun = time.monotonic()
    await asyncio.gather(*(noted(ledger, went, str(n), ENTRY) for n in range(60)))
    took = time.monotonic() - begun
    assert len(went) == 60
    assert took >= 50 / 200 - 0.01


async def test_one_credential_that_is_held_back_holds_nobody_else_up() -> None:
    plenty = Budget(100, 100, entry_reserve=0, read_reserve=0)
    ledger, went = ledger_of(venue=plenty, poor=Budget(1, 0.1, entry_reserve=0, read_reserve=0)), list[str]()
    await ledger.admit([Draw("poor")], ENTRY)
    poor = [asyncio.create_task(noted(ledger, went, "poor", ENTRY, VENUE, "poor")) for _ in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        await noted(ledger, went, "rich", ENTRY, VENUE, "rich")
    assert went == ["rich"]
    for task in poor:
        task.cancel()
    await asyncio.gather(*poor, return_exceptions=True)
    assert ledger.waiting() == 0


async def test_a_read_that_waits_for_the_reserve_does_not_stand_before_a_stop() -> None:
    ledger, went = ledger_of(venue=Budget(10, 0.01, entry_reserve=0.2, read_reserve=0.5)), list[str]()
    await ledger.admit([Draw(VENUE, 5)], PROTECTION)
    read = asyncio.create_task(noted(ledger, went, "read", READ))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        await noted(ledger, went, "stop", PROTECTION)
    assert (went, ledger.waiting()) == (["stop"], 1)
    read.cancel()


async def test_what_the_venue_closed_opens_again_by_itself() -> None:
    ledger, went = ledger_of(venue=Budget(10, 10)), list[str]()
    ledger.close(VENUE, 0.1)
    begun = time.monotonic()
    async with asyncio.timeout(2):
        await noted(ledger, went, "stop", PROTECTION)
    assert time.monotonic() - begun >= 0.1


async def test_the_venues_own_count_keeps_everybody_back() -> None:
    ledger = ledger_of(venue=Budget(10, 100, entry_reserve=0, read_reserve=0))
    ledger.used(VENUE, 20)
    begun = time.monotonic()
    await ledger.admit([Draw(VENUE)], PROTECTION)
    assert time.monotonic() - begun >= 0.1


async def test_who_gives_up_leaves_no_hole_in_the_line() -> None:
    ledger, went = ledger_of(venue=Budget(1, 20, entry_reserve=0, read_reserve=0)), list[str]()
    await ledger.admit([Draw(VENUE)], ENTRY)
    first = asyncio.create_task(noted(ledger, went, "first", ENTRY))
    second = asyncio.create_task(noted(ledger, went, "second", ENTRY))
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(2):
        await second
    assert went == ["second"]
    assert first.cancelled()


async def test_what_did_not_leave_the_house_is_given_back() -> None:
    ledger = ledger_of(venue=Budget(1, 0.001, entry_reserve=0, read_reserve=0))
    await ledger.admit([Draw(VENUE)], ENTRY)
    waits = asyncio.create_task(ledger.admit([Draw(VENUE)], ENTRY))
    await asyncio.sleep(0)
    ledger.give_back([Draw(VENUE)])
    async with asyncio.timeout(1):
        await waits


async def test_of_five_thousand_that_wait_each_is_asked_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ready_at = [0], Bucket.ready_at

    def counted(bucket: Bucket, weight: float, priority: Priority, now: float) -> float:
        asked[0] += 1
        return ready_at(bucket, weight, priority, now)

    monkeypatch.setattr(Bucket, "ready_at", counted)
    ledger, went = ledger_of(venue=Budget(10, 20_000, entry_reserve=0, read_reserve=0)), list[str]()
    await asyncio.gather(*(noted(ledger, went, "", ENTRY, VENUE, f"key {n}") for n in range(5000)))
    assert len(went) == 5000
    assert asked[0] < 5000 * 4, "not once for each that goes before it"


@pytest.mark.parametrize("again", [True, False])
async def test_a_budget_that_is_named_again_is_not_filled_again(again: bool) -> None:
    ledger = ledger_of(venue=Budget(1, 0.001, entry_reserve=0, read_reserve=0))
    await ledger.admit([Draw(VENUE)], ENTRY)
    ledger.limit(VENUE, Budget(1 if again else 5, 0.001, entry_reserve=0, read_reserve=0))
    asked = asyncio.create_task(ledger.admit([Draw(VENUE)], ENTRY))
    await asyncio.sleep(0)
    assert asked.done() is not again
    asked.cancel()
