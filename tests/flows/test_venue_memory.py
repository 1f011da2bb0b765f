"""What an engine notes of a venue is there for the next one: nonces go on above all that were taken, and a closed door stays closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from signalist.accounts import venue_memory
from signalist.accounts.models import VenueBan, VenueNonces
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.ledger import Draw, RateLedger
from signalist.venues.transport.nonces import Nonces

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
DOOR = ("https://venue", "key")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def another_thread() -> AsyncIterator[None]:
    """What a test asks of the database from under a loop has a connection of its own, which ends with it."""
    yield
    await sync_to_async(connections.close_all)()


async def reserve(credential: str, at_least: int, block: int) -> int:
    return await sync_to_async(venue_memory.reserve)(credential, at_least, block)


# --- Nonces --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("another_thread")
async def test_the_first_nonce_after_a_crash_is_above_all_before_it_though_the_clock_was_set_back() -> None:
    before = Nonces(reserve, lambda: 1_000.0)
    last = [await before.take("key") for _ in range(5)][-1]
    after = Nonces(reserve, lambda: 970.0)
    assert await after.take("key") > last


@pytest.mark.usefixtures("another_thread")
async def test_two_engines_at_once_take_from_different_blocks() -> None:
    engines = [Nonces(reserve, lambda: 1_000.0, block=50) for _ in range(2)]
    taken = [await engines[n % 2].take("key") for n in range(200)]
    assert len(set(taken)) == 200


@pytest.mark.usefixtures("another_thread")
async def test_a_block_is_on_record_before_its_first_nonce_is_used() -> None:
    first = await Nonces(reserve, lambda: 1_000.0, block=10).take("key")
    row = await VenueNonces.objects.aget()
    assert (row.credential, row.reserved_to) == ("key", first + 10)


@pytest.mark.usefixtures("another_thread")
async def test_credentials_are_counted_apart() -> None:
    nonces = Nonces(reserve, lambda: 1_000.0)
    assert await nonces.take("one") == await nonces.take("other")


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
