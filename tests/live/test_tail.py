"""The tail: each event once and in commit order, through failures of the database, and soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError, connection

from signalist.events.models import Event
from signalist.events.tail import Cursor
from signalist.live import tail as tail_module
from signalist.live.hub import Hub
from signalist.live.pace import Pace
from signalist.live.supervise import supervised
from signalist.live.tail import Tail, name_of, place
from signalist.live.threads import Threads
from tests.cast import Cast
from tests.events.test_tail import Writer, settle
from tests.live.conftest import QUICK
from tests.live.pages import Page, elsewhere, eventually, shows
from tests.live.regions import say, tell_all

pytestmark = pytest.mark.django_db(transaction=True)


class Ear:
    """Listens, and keeps what it heard."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.places: list[Cursor] = []

    def events_happened(self, happened: Sequence[tuple[Event, Cursor]]) -> None:
        self.kinds += [event.kind for event, _ in happened]
        self.places += [before for _, before in happened]

    def prices_moved(self, instrument_ids: frozenset[int]) -> None:
        self.kinds.append("prices")

    def wants_prices(self) -> bool:
        return False


@pytest.fixture
def pace() -> Pace:
    """As quick as in all tests, unless a test says otherwise."""
    return QUICK


@pytest.fixture
async def ear(transactional_db: None, pace: Pace) -> AsyncIterator[Ear]:
    """A tail that has begun, and who listens to it."""
    listens, threads = Ear(), Threads("test-tail", 1)
    tail = Tail(listens, threads, pace)
    following = asyncio.create_task(supervised("tail", tail.follow, pace.again))
    await tail.ready()
    listens.tail = tail  # type: ignore[attr-defined]
    yield listens
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await asyncio.to_thread(threads.close)


@pytest.fixture
def before(transactional_db: None) -> None:
    """Something that happened before anybody listened."""
    tell_all("before")
    settle()


async def test_it_begins_at_the_end_of_the_log(before: None, ear: Ear) -> None:
    await elsewhere(tell_all, "one")
    await eventually(lambda: ear.kinds)
    assert ear.kinds == ["one"]


async def test_events_are_handed_on_in_order_each_once_with_the_place_before_them(ear: Ear) -> None:
    wanted = [f"event {n}" for n in range(30)]
    for kind in wanted:
        await elsewhere(tell_all, kind)
    await eventually(lambda: len(ear.kinds) >= len(wanted))
    assert ear.kinds == wanted
    assert ear.places == sorted(ear.places)
    assert len(set(ear.places)) == len(wanted)


async def test_a_burst_longer_than_one_reading_is_handed_on_whole(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "AT_ONCE", 3)
    for n in range(10):
        await elsewhere(tell_all, f"event {n}")
    await eventually(lambda: len(ear.kinds) == 10)
    assert ear.kinds == [f"event {n}" for n in range(10)]


async def test_it_goes_on_where_it_was_after_an_error_of_the_database(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    await elsewhere(tell_all, "one")
    await eventually(lambda: ear.kinds == ["one"])
    fails, read = [3], tail_module._read

    def flaky(after: Cursor) -> Any:
        if fails[0]:
            fails[0] -= 1
            raise OperationalError("planted")
        return read(after)

    monkeypatch.setattr(tail_module, "_read", flaky)
    await elsewhere(tell_all, "two")
    await eventually(lambda: fails[0] == 0)
    await elsewhere(tell_all, "three")
    await eventually(lambda: len(ear.kinds) == 3)
    assert ear.kinds == ["one", "two", "three"]


async def test_pages_are_told_when_the_log_cannot_be_read(
    process: Hub, people: Cast, browsers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(after: Cursor) -> Any:
        raise OperationalError("planted")

    page = Page(browsers["theo"], "test-words")
    assert await page.open()
    await page.until(lambda seen: seen.cursor)
    process.pace = replace(QUICK, stale=0.3)
    read = tail_module._read
    monkeypatch.setattr(tail_module, "_read", broken)
    await page.until(lambda seen: "stale" in seen.words[-1])
    await elsewhere(say, people.acme.pk, "meanwhile")
    monkeypatch.setattr(tail_module, "_read", read)
    await page.until(shows("test-words", "meanwhile"))
    await page.until(lambda seen: "stale" not in seen.words[-1])
    await page.leave()


def test_a_place_is_named_so_that_it_can_be_read_back() -> None:
    assert place(name_of(Cursor(7, 12))) == Cursor(7, 12)
    assert place(name_of(Cursor())) is None, "a page that was brought nowhere knows nothing"
    for nonsense in ("", "7", "-", "7-", "-7", "a-b", "1-2-3", "٣-٤", "1-" + "9" * 60):
        assert place(nonsense) is None


# --- On PostgreSQL ---------------------------------------------------------------------------------


@pytest.fixture
def writers(transactional_db: None) -> Iterator[list[Writer]]:
    made = [Writer() for _ in range(2)]
    yield made
    for writer in made:
        writer.close()


@pytest.mark.postgresql
async def test_what_is_committed_late_is_neither_missed_nor_handed_on_twice(ear: Ear, writers: list[Writer]) -> None:
    slow, quick = writers
    await asyncio.to_thread(slow.begin, "slow")
    await asyncio.to_thread(quick.begin, "quick")
    await asyncio.to_thread(quick.end)
    await asyncio.sleep(0.3)
    assert ear.kinds == [], "what stands behind an open transaction has to wait"
    await asyncio.to_thread(slow.end)
    await eventually(lambda: len(ear.kinds) == 2)
    await asyncio.sleep(0.2)
    assert ear.kinds == ["slow", "quick"]


@pytest.mark.postgresql
class TestBell:
    """News comes by the bell; looking without one is the safety net."""

    @pytest.fixture
    def pace(self) -> Pace:
        return replace(QUICK, doubt=5)

    async def test_news_comes_long_before_anybody_would_have_looked(self, ear: Ear) -> None:
        await asyncio.sleep(0.5)
        began = asyncio.get_running_loop().time()
        await elsewhere(tell_all, "one")
        await eventually(lambda: ear.kinds)
        assert asyncio.get_running_loop().time() - began < 2.5

    async def test_what_waited_for_a_transaction_that_is_rolled_back_comes_without_another_bell(
        self, ear: Ear, writers: list[Writer]
    ) -> None:
        broken, other = writers
        await asyncio.to_thread(broken.begin, "never happened")
        await asyncio.to_thread(other.begin, "happened")
        await asyncio.to_thread(other.end)
        await asyncio.sleep(0.4)
        assert ear.kinds == []
        await asyncio.to_thread(lambda: broken.end(commit=False))
        await eventually(lambda: ear.kinds == ["happened"], seconds=4)

    async def test_a_bell_that_is_torn_off_is_hung_up_again(self, ear: Ear) -> None:
        await elsewhere(_hang_up)
        await elsewhere(tell_all, "one")
        await eventually(lambda: ear.kinds == ["one"])
        assert await elsewhere(_listeners) == 1


# Other workers of the test run have bells of their own on the same server.
_OURS = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


def _listeners() -> int:
    """How many listen; the server takes a moment to forget one that was torn off."""
    with connection.cursor() as cursor:
        for _ in range(100):
            cursor.execute(f"SELECT count(*) {_OURS}")
            found = int(cursor.fetchone()[0])
            if found == 1:
                break
            time.sleep(0.05)
    return found


def _hang_up() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(pg_terminate_backend(pid)) {_OURS}")
        assert cursor.fetchone()[0] == 1
