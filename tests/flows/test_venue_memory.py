"""What an engine notes of a venue is there for the next one: nonces go on above all that were taken, and a closed door stays closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from signalist.accounts import venue_memory
from signalist.accounts.models import VenueBan, VenueNonces
from signalist.engine.database import Database
from signalist.engine.supplies import VenueMemory
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.ledger import Draw, RateLedger
from signalist.venues.transport.nonces import Nonces, NonceSource

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
DOOR = ("https://venue", "key")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def another_thread() -> AsyncIterator[None]:
    """What a test asks of the database from under a loop has a connection of its own, which ends with it."""
    yield
    await sync_to_async(connections.close_all)()


async def reserve(wanted: Mapping[str, int], block: int) -> Mapping[str, int]:
    return await sync_to_async(venue_memory.reserve)(wanted, block)


async def taken_from(source: NonceSource) -> int:
    async with source.turn(Priority.ENTRY) as nonce:
        return nonce


# --- Nonces --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("another_thread")
async def test_the_first_nonce_after_a_crash_is_above_all_before_it_though_the_clock_was_set_back() -> None:
    before = Nonces(reserve, lambda: 1_000.0).of("key")
    last = [await taken_from(before) for _ in range(5)][-1]
    after = Nonces(reserve, lambda: 970.0)
    assert await taken_from(after.of("key")) > last
    assert await taken_from(after.of("other")) == 970_000_000, "credentials are counted apart"


@pytest.mark.usefixtures("another_thread")
async def test_two_engines_at_once_take_from_different_blocks() -> None:
    engines = [Nonces(reserve, lambda: 1_000.0, block=50).of("key") for _ in range(2)]
    taken = [await taken_from(engines[n % 2]) for n in range(200)]
    assert len(set(taken)) == 200


@pytest.mark.usefixtures("another_thread")
async def test_blocks_are_on_record_before_their_first_nonce_is_used_many_in_one_statement() -> None:
    def firsts() -> tuple[dict[str, int], int]:
        with CaptureQueriesContext(connection) as captured:
            return venue_memory.reserve({"key": 7, "other": 5_000, "new": 1}, 10), len(captured)

    await taken_from(Nonces(reserve, lambda: 0.001, block=10).of("key"))
    assert await sync_to_async(firsts)() == ({"key": 1_010, "other": 5_000, "new": 1}, 1)
    rows = await sync_to_async(lambda: dict(VenueNonces.objects.values_list("credential", "reserved_to")))()
    assert rows == {"key": 1_020, "other": 5_010, "new": 11}


# --- Closed doors --------------------------------------------------------------------------------


def ledger(now: datetime, at: float) -> RateLedger:
    """An engine's ledger that starts at `now`."""
    made = RateLedger(
        lambda: at,
        remember=lambda door, seconds: venue_memory.close(door, now + timedelta(seconds=seconds)),
        closed=venue_memory.closed(now),
    )
    made.limit(DOOR, Budget(100, 100))
    return made


def may_knock(one: RateLedger) -> bool:
    return one.admit_now([Draw(DOOR)], Priority.PROTECTION)


def test_a_banned_door_is_not_knocked_at_after_a_restart() -> None:
    first = ledger(NOON, 50.0)
    assert may_knock(first)
    first.close(DOOR, 120.0)
    assert not may_knock(first)
    assert not may_knock(ledger(NOON + timedelta(seconds=119), 7.0)), "another process, another monotonic clock"
    assert may_knock(ledger(NOON + timedelta(seconds=121), 7.0))


def test_the_longest_ban_stands() -> None:
    first = ledger(NOON, 50.0)
    first.close(DOOR, 120.0)
    first.close(DOOR, 5.0)
    assert not may_knock(ledger(NOON + timedelta(seconds=100), 7.0))


def test_a_moments_rest_is_not_put_on_record() -> None:
    ledger(NOON, 50.0).close(DOOR, 1.0)
    assert VenueBan.objects.count() == 0


def test_old_bans_are_forgotten() -> None:
    venue_memory.close("door", NOON)
    assert venue_memory.closed(NOON + timedelta(days=2)) == {}
    assert VenueBan.objects.count() == 0


async def test_who_waits_at_a_door_that_was_closed_earlier_goes_when_it_opens() -> None:
    one = RateLedger(closed={"/".join(DOOR): 0.2})
    one.limit(DOOR, Budget(100, 100))
    assert not may_knock(one)
    await asyncio.wait_for(one.admit([Draw(DOOR)], Priority.READ), 2)


@pytest.mark.usefixtures("another_thread")
async def test_what_a_venue_says_to_one_engine_keeps_the_others_and_the_next_from_knocking() -> None:
    database = Database()
    engines = [VenueMemory() for _ in range(2)]
    supplies = [engine.of("venue") for engine in engines]
    elsewhere = engines[1].of("other")
    for engine in engines:
        await engine.open(database)
    keeping = [asyncio.create_task(engine.keep()) for engine in engines]
    try:
        supplies[0].ledger.close(supplies[0].address, 300.0)
        for _ in range(250):
            if supplies[1].ledger.opens_in([Draw(supplies[1].address)]):
                break
            await asyncio.sleep(0.02)
        assert not supplies[1].ledger.admit_now([Draw(supplies[1].address)], Priority.PROTECTION)
        assert elsewhere.ledger.admit_now([Draw(supplies[1].address)], Priority.READ), "a door of that venue alone"
        numbers = [await taken_from(one.nonces("key")) for one in supplies for _ in range(2)]
        assert numbers == sorted(set(numbers))
        after = VenueMemory()
        ledger = after.of("venue").ledger
        await after.open(database)
        assert ledger.opens_in([Draw(supplies[0].address)]) > 290
        await after.close()
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        for engine in engines:
            await engine.close()
        database.close()
