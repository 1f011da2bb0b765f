"""The pure part of the transport: buckets, breaker, the venue's clock, nonces."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.venues.transport.breaker import Breaker, BreakerTerms
from signalist.venues.transport.budgets import Bucket, Budget, Priority
from signalist.venues.transport.clocks import VenueClock
from signalist.venues.transport.nonces import Nonces, NonceSource

PROTECTION, ENTRY, READ = Priority

budgets = st.builds(
    Budget,
    size=st.floats(1, 100),
    per_second=st.floats(0.1, 100),
    entry_reserve=st.floats(0, 0.3),
    read_reserve=st.floats(0.3, 0.9),
)
requests = st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 5), st.sampled_from(Priority)), max_size=60)

# --- Buckets -------------------------------------------------------------------------------------


@given(budgets, requests)
def test_in_any_stretch_of_time_no_more_is_taken_than_the_venue_allows(
    budget: Budget, asked: list[tuple[float, float, Priority]]
) -> None:
    bucket, now, taken = Bucket(budget, 0.0), 0.0, list[tuple[float, float]]()
    for pause, weight, priority in asked:
        now += pause
        at = bucket.ready_at(weight, priority, now)
        if at <= now:
            bucket.take(weight, now)
            taken.append((now, weight))
    heaviest = max((weight for _, weight in taken), default=0.0)
    for n, (begin, _) in enumerate(taken):
        total = 0.0
        for at, weight in taken[n:]:
            total += weight
            # One that is heavier than the bucket goes when it is full, so a stretch may hold its excess once more.
            assert total <= max(budget.size, heaviest) + (at - begin) * budget.per_second + heaviest + 1e-6


@given(budgets, st.floats(0.1, 5), st.sampled_from(Priority))
def test_at_the_moment_that_it_names_a_request_may_go(budget: Budget, weight: float, priority: Priority) -> None:
    bucket = Bucket(budget, 0.0)
    bucket.take(budget.size, 0.0)
    at = bucket.ready_at(weight, priority, 0.0)
    assert at > 0
    assert bucket.ready_at(weight, priority, at + 1e-6) <= at + 1e-6


def test_what_matters_more_may_empty_the_bucket_and_reads_leave_most_behind() -> None:
    bucket = Bucket(Budget(10, 1, entry_reserve=0.2, read_reserve=0.5), 0.0)
    bucket.take(5, 0.0)
    assert bucket.ready_at(1, READ, 0.0) == 1.0
    assert bucket.ready_at(1, ENTRY, 0.0) == 0.0
    bucket.take(3, 0.0)
    assert bucket.ready_at(1, ENTRY, 0.0) == 1.0
    assert bucket.ready_at(2, PROTECTION, 0.0) == 0.0


def test_the_venues_own_count_is_believed_where_it_is_worse() -> None:
    bucket = Bucket(Budget(10, 1), 0.0)
    bucket.take(4, 0.0)
    bucket.used(2, 0.0)
    assert bucket.level(0.0) == 6
    bucket.used(12, 0.0)
    assert (bucket.level(0.0), bucket.ready_at(1, PROTECTION, 0.0)) == (-2, 3.0)


def test_a_bucket_that_the_venue_closed_opens_when_it_said() -> None:
    bucket = Bucket(Budget(10, 1), 0.0)
    bucket.close(until=30.0)
    bucket.close(until=20.0)
    assert bucket.ready_at(1, PROTECTION, 5.0) == 30.0
    assert bucket.ready_at(1, PROTECTION, 31.0) == 31.0


@pytest.mark.parametrize(("followers", "delay"), [(10, 0.0), (16, 0.1), (1000, 61.6)])
def test_the_delay_of_the_last_follower_is_known_beforehand(followers: int, delay: float) -> None:
    budget = Budget(size=16, per_second=16, entry_reserve=0.1)
    assert budget.last_delay(followers) == pytest.approx(delay)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"per_second": -1}, {"entry_reserve": 0.6}, {"read_reserve": 1.0}])
def test_a_budget_that_nothing_could_pass_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="."):
        Budget(**{"size": 10, "per_second": 1, **wrong})


# --- The breaker ---------------------------------------------------------------------------------


def test_it_opens_after_so_many_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(BreakerTerms(failures=3, pause=1.0))
    for _ in range(2):
        breaker.failed(0.0)
    breaker.answered()
    for _ in range(2):
        breaker.failed(0.0)
    assert not breaker.is_open
    breaker.failed(0.0)
    assert breaker.is_open
    assert breaker.wait(0.0) == 1.0
    assert not breaker.try_it(0.5, within=5)


def test_after_the_pause_one_tries_while_the_others_wait_for_its_fate() -> None:
    breaker = Breaker(BreakerTerms(failures=1, pause=1.0, longest_pause=3.0))
    breaker.failed(0.0)
    assert breaker.try_it(1.0, within=5)
    assert not breaker.try_it(1.1, within=5)
    breaker.failed(1.2)
    assert breaker.wait(1.2) == 2.0, "the pause doubles"
    assert breaker.try_it(3.2, within=5)
    breaker.failed(3.3)
    assert breaker.wait(3.3) == 3.0, "up to the longest"
    assert breaker.try_it(6.3, within=5)
    breaker.answered()
    assert breaker.try_it(6.4, within=5)
    assert breaker.try_it(6.4, within=5)


def test_what_was_under_way_when_it_opened_does_not_lengthen_the_pause() -> None:
    breaker = Breaker(BreakerTerms(failures=2, pause=1.0))
    for _ in range(50):
        breaker.failed(0.0)
    assert breaker.wait(0.0) == 1.0


def test_a_try_that_nobody_reports_on_does_not_keep_the_way_closed() -> None:
    breaker = Breaker(BreakerTerms(failures=1, pause=1.0))
    breaker.failed(0.0)
    assert breaker.try_it(1.0, within=5)
    assert breaker.wait(2.0) == 4.0
    assert breaker.try_it(6.0, within=5)


# --- The venue's clock ---------------------------------------------------------------------------


@given(
    st.floats(-30, 30),
    st.lists(st.tuples(st.floats(0.001, 0.5), st.floats(0.001, 0.5)), min_size=1, max_size=16),
)
def test_it_is_never_further_off_than_it_says(ahead: float, ways: list[tuple[float, float]]) -> None:
    clock, now = VenueClock(), 1_700_000_000.0
    for there, back in ways:
        clock.heard(now, now + there + back, now + there + ahead)
        now += 10
    assert clock.error is not None
    assert abs(clock.ahead - ahead) <= clock.error + 1e-6
    assert clock.time(now) == pytest.approx(now + ahead, abs=clock.error + 1e-6)


def test_a_date_cut_off_to_seconds_is_taken_for_its_middle() -> None:
    clock = VenueClock()
    clock.heard(100.0, 100.2, 105.0, resolution=1.0)  # it was between 105 and 106 there
    assert clock.ahead == pytest.approx(5.4)
    assert clock.error == pytest.approx(0.6)


def test_a_round_trip_during_which_our_clock_was_set_tells_nothing() -> None:
    clock = VenueClock()
    clock.heard(100.0, 99.0, 100.0)
    assert (clock.ahead, clock.error) == (0.0, None)


# --- Nonces --------------------------------------------------------------------------------------


class Record:
    """What stands on record, as every process sees it."""

    def __init__(self) -> None:
        self.highest: dict[str, int] = {}
        self.asked = 0

    async def reserve(self, wanted: Mapping[str, int], block: int) -> dict[str, int]:
        self.asked += 1
        await asyncio.sleep(0)
        firsts = {name: max(first, self.highest.get(name, 0)) for name, first in wanted.items()}
        self.highest |= {name: first + block for name, first in firsts.items()}
        return firsts


async def taken_from(source: NonceSource, priority: Priority = Priority.ENTRY) -> int:
    async with source.turn(priority) as nonce:
        return nonce


@pytest.mark.parametrize("seed", range(5))
async def test_nonces_only_grow_over_processes_restarts_and_clocks_that_are_set_back(seed: int) -> None:
    draw, record, now = random.Random(seed), Record(), [1_000.0]
    fresh = lambda: Nonces(record.reserve, lambda: now[0], block=5).of("key")  # noqa: E731
    processes = [fresh() for _ in range(2)]
    taken: dict[int, list[int]] = {0: [], 1: []}
    for _ in range(200):
        now[0] += draw.choice([0.0, 0.0, 0.0001, 0.3, -5.0])
        which = draw.randrange(2)
        if draw.random() < 0.05:
            processes[which] = fresh()
        taken[which].append(await taken_from(processes[which]))
    everything = taken[0] + taken[1]
    assert len(set(everything)) == len(everything)
    assert all(found == sorted(found) for found in taken.values())


async def test_blocks_are_put_on_record_together_and_once_for_many_nonces() -> None:
    record = Record()
    nonces = Nonces(record.reserve, lambda: 1_000.0)
    sources = [nonces.of(name) for name in ("one", "other", "one")]
    first, other, second = await asyncio.gather(*map(taken_from, sources))
    assert (other, {first, second}) == (1_000_000_000, {1_000_000_000, 1_000_001_000}), "two sources, a block for each"
    assert record.asked == 2, "what was wanted of different credentials went together"
    found = [await taken_from(sources[1]) for _ in range(99)]
    assert (found, record.asked) == (list(range(1_000_000_001, 1_000_000_100)), 2)


async def test_after_a_refusal_it_begins_above_everything_on_record() -> None:
    record = Record()
    source = Nonces(record.reserve, lambda: 1_000.0).of("key")
    first = await taken_from(source)
    record.highest["key"] = 5_000_000_000
    source.renew()
    assert await taken_from(source) == 5_000_000_000 > first


async def test_one_request_at_a_time_has_a_credentials_turn_and_what_matters_more_goes_first() -> None:
    source, went = Nonces(Record().reserve, lambda: 1_000.0).of("key"), list[tuple[str, int]]()

    async def ask(name: str, priority: Priority) -> None:
        async with source.turn(priority) as nonce:
            went.append((name, nonce))
            await asyncio.sleep(0.01)

    first = asyncio.create_task(ask("first", Priority.READ))
    await asyncio.sleep(0.001)
    waiting = [
        asyncio.create_task(ask(name, priority))
        for name, priority in (("read", Priority.READ), ("given up", Priority.PROTECTION), ("entry", Priority.ENTRY))
    ]
    stop = asyncio.create_task(ask("stop", Priority.PROTECTION))
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.gather(first, stop, *waiting, return_exceptions=True)
    assert [name for name, _ in went] == ["first", "stop", "entry", "read"]
    assert [nonce for _, nonce in went] == sorted(nonce for _, nonce in went), "numbered in the order in which they go"
