"""The desk of a tenant: what is shown is the newest look, whoever comes and goes while it is being rendered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from signalist.events.tail import Cursor
from signalist.live import regions
from signalist.live.desk import Desk
from signalist.live.hub import Hub
from signalist.live.regions import Region
from signalist.live.sockets import Sockets
from tests.live.conftest import QUICK
from tests.live.pages import Page, eventually, shows
from tests.live.test_slow_readers import _sent, _socket


class HeldThreads:
    """Renders when a test says so; each look is the number of renderings begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.let_go = asyncio.Event()

    async def run(self, work: Callable[..., Any], tenant_id: int, wanted: list[Region]) -> dict[str, str]:
        self.begun += 1
        look = f"look {self.begun}"
        await self.let_go.wait()
        return {region.name: look for region in wanted}


@pytest.fixture
def region() -> Iterator[Region]:
    """A region that a word changes."""
    yield regions.register(Region("test-desk", dict, kinds=frozenset({"word_said"})))
    regions.forget("test-desk")


@pytest.fixture
async def threads() -> HeldThreads:
    return HeldThreads()


@pytest.fixture
async def desk(threads: HeldThreads) -> AsyncIterator[Desk]:
    made = Desk(1, Sockets(), threads, QUICK)  # type: ignore[arg-type]
    yield made
    await made.stop()


async def test_one_who_comes_while_a_region_is_rendered_misses_nothing_that_happened_meanwhile(
    desk: Desk, threads: HeldThreads, region: Region
) -> None:
    """The one for whom it was rendered left, something happened that nobody looked at, then the next one came."""
    first, second = _socket(1, "test-desk"), _socket(2, "test-desk")
    desk._sockets.add(first)
    waits = asyncio.create_task(desk.current([region], Cursor()))
    await eventually(lambda: threads.begun == 1)
    desk._sockets.discard(first)
    desk.tidy()
    desk.happened("word_said", Cursor(0, 1))
    desk._sockets.add(second)
    told = asyncio.create_task(desk.current([region], Cursor(0, 2)))
    await asyncio.sleep(0)
    threads.let_go.set()
    await asyncio.gather(waits, told)
    await eventually(lambda: "look 2" in _sent(second))


async def test_what_happens_while_a_region_is_rendered_has_it_rendered_again(
    desk: Desk, threads: HeldThreads, region: Region
) -> None:
    socket = _socket(1, "test-desk")
    desk._sockets.add(socket)
    desk.happened("word_said", Cursor(0, 1))
    await eventually(lambda: threads.begun == 1)
    desk.happened("word_said", Cursor(0, 2))
    assert desk.delivered(Cursor(0, 3)) == Cursor(0, 1), "nothing behind the first word has been delivered yet"
    threads.let_go.set()
    await eventually(lambda: _sent(socket) == ["look 1", "look 2"])
    await eventually(lambda: desk.delivered(Cursor(0, 3)) == Cursor(0, 3))


async def test_a_newcomer_is_not_kept_waiting_by_a_tenant_to_whom_something_happens_all_the_time(
    desk: Desk, threads: HeldThreads, region: Region
) -> None:
    threads.let_go.set()
    socket = _socket(1, "test-desk")
    desk._sockets.add(socket)

    async def happens() -> None:
        while True:
            desk.happened("word_said", Cursor(0, 1))
            await asyncio.sleep(0)

    busy = asyncio.create_task(happens())
    async with asyncio.timeout(5):
        assert await desk.current([region], Cursor())
    busy.cancel()


async def test_what_nobody_shows_is_neither_rendered_nor_remembered(
    desk: Desk, threads: HeldThreads, region: Region
) -> None:
    threads.let_go.set()
    socket = _socket(1, "test-desk")
    desk._sockets.add(socket)
    await desk.current([region], Cursor())
    desk._sockets.discard(socket)
    desk.tidy()
    desk.happened("word_said", Cursor(0, 1))
    await asyncio.sleep(0.1)
    assert threads.begun == 1
    assert desk.fragments == {}


@pytest.fixture
def broken() -> Iterator[list[int]]:
    """A region that cannot be rendered; the tenants for which that was tried."""
    tried: list[int] = []

    def fails(tenant_id: int) -> dict[str, Any]:
        tried.append(tenant_id)
        raise RuntimeError("There is nothing to show.")

    regions.register(Region("test-broken", fails))
    yield tried
    regions.forget("test-broken")


async def test_what_cannot_be_rendered_is_tried_again_only_while_somebody_waits_for_it(
    process: Hub, browsers: dict[str, Any], broken: list[int]
) -> None:
    page = Page(browsers["theo"], "test-broken")
    assert await page.open()
    await eventually(lambda: len(broken) >= 2)
    await page.leave()
    await asyncio.sleep(2 * QUICK.turn)
    tried = len(broken)
    await asyncio.sleep(2 * QUICK.retry)
    assert len(broken) == tried


async def test_a_desk_that_nobody_stands_before_is_taken_away(process: Hub, browsers: dict[str, Any]) -> None:
    ours, theirs = Page(browsers["theo"], "test-words"), Page(browsers["gus"], "test-words")
    for page in (ours, theirs):
        assert await page.open()
        await page.until(shows("test-words", ""))
    assert len(process.desks) == 3, "one each, and that of what is common"
    await ours.leave()
    await eventually(lambda: len(process.desks) == 2)
    await theirs.leave()
    await eventually(lambda: process.desks == {})
    back = Page(browsers["theo"], "test-words")
    assert await back.open()
    await back.until(shows("test-words", ""))
    await back.leave()
