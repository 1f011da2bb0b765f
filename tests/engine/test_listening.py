"""What one process leaves to do wakes the engine of another within milliseconds, once, and again after the server was away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from statistics import median

import psycopg
import pytest
from django.db import connection, connections, transaction

from signalist.db.lines import address
from signalist.db.wakes import STAGES, Wakes, ring_on_commit, wakes
from signalist.engine import listening
from signalist.engine.listening import Listening
from tests.flows.commands import manage, of_the_test_run
from tests.flows.scene import LONG, Scene, entry

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

# Another process commits, notes when, and rings again a little later.
RINGING = """
import time
from django.db import transaction
from signalist.db.wakes import ring_on_commit
for _ in range(20):
    with transaction.atomic():
        ring_on_commit("decide")
    print(time.monotonic())
    time.sleep(0.02)
"""
FANNING_OUT = """
from datetime import datetime
from signalist.execution.fan_out import fan_out
from tenants.doors import across_tenants
with across_tenants("tests"):
    print(fan_out(datetime.fromisoformat("{now}")))
"""


class Ear:
    """An engine's wakes as they are rung: when each of the stages was, and the line that rings them."""

    def __init__(self) -> None:
        self.rung: list[tuple[float, str]] = []
        self.wakes = Wakes()
        self.wakes.ring = self._note  # type: ignore[method-assign]
        self.line = Listening(self.wakes, lambda: None)

    def _note(self, *stages: str) -> None:
        self.rung += [(time.monotonic(), stage) for stage in stages]


@asynccontextmanager
async def open_ear(ear: Ear) -> AsyncIterator[Ear]:
    """With the line up; what was rung because it had come up is forgotten."""
    task = asyncio.create_task(ear.line.listen())
    try:
        await asyncio.wait_for(ear.line.is_up.wait(), 10)
        ear.rung.clear()
        yield ear
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def undriven() -> Iterator[None]:
    """As in a process without an engine."""
    wakes.clear()
    wakes.driven, before = False, wakes.driven
    yield
    wakes.driven = before
    wakes.clear()


async def in_thread(work: Callable[[], object]) -> None:
    def working() -> None:
        try:
            work()
        finally:
            connections.close_all()

    await asyncio.to_thread(working)


async def heard(ear: Ear, count: int, patience: float = 5.0) -> None:
    deadline = time.monotonic() + patience
    while len(ear.rung) < count:
        assert time.monotonic() < deadline, ear.rung
        await asyncio.sleep(0.005)


def ring(*stages: str, everywhere: bool = False) -> None:
    with transaction.atomic():
        ring_on_commit(*stages, everywhere=everywhere)


async def test_another_processs_ring_is_heard_within_milliseconds() -> None:
    database = of_the_test_run(connection)
    async with open_ear(Ear()) as ear:
        said = await asyncio.to_thread(manage, database, "shell", "--no-imports", "-c", RINGING)
        rung = [float(line) for line in said.out.split()]
        assert len(rung) == 20, said.err
        await heard(ear, 20)
    waits = [at - committed for (at, _), committed in zip(ear.rung, rung, strict=True)]
    assert [stage for _, stage in ear.rung] == ["decide"] * 20
    assert median(waits) < 0.05, waits


async def test_what_is_rolled_back_wakes_nobody(undriven: None) -> None:
    def rolled_back() -> None:
        with transaction.atomic():
            ring_on_commit("place")
            transaction.set_rollback(True)

    async with open_ear(Ear()) as ear:
        await in_thread(rolled_back)
        await in_thread(lambda: ring("decide"))
        await heard(ear, 1)
    assert [stage for _, stage in ear.rung] == ["decide"]


async def test_many_rings_of_one_transaction_are_one(undriven: None) -> None:
    def often() -> None:
        with transaction.atomic():
            for _ in range(50):
                ring_on_commit("decide", "place")

    async with open_ear(Ear()) as ear:
        await in_thread(often)
        await heard(ear, 2)
        await asyncio.sleep(0.1)
    assert sorted(stage for _, stage in ear.rung) == ["decide", "place"]


async def test_an_engine_is_not_woken_by_what_it_says_itself(undriven: None) -> None:
    def own(ear: Ear) -> None:
        ring("decide", everywhere=True)
        ear.wakes.speaker = wakes.speaker
        for _ in range(20):
            ring("decide", everywhere=True)

    ear = Ear()
    ear.wakes.speaker = -1
    async with open_ear(ear):
        await in_thread(lambda: own(ear))
        await in_thread(lambda: ring("place"))
        await heard(ear, 1)
        await asyncio.sleep(0.1)
    # The first one may have been heard before the ear knew whose it was.
    assert [stage for _, stage in ear.rung if stage == "decide"] in ([], ["decide"])
    assert [stage for _, stage in ear.rung if stage == "place"] == ["place"]


def test_what_an_engine_leaves_to_itself_is_told_to_nobody(undriven: None) -> None:
    wakes.driven, wakes.speaker = True, 0
    ring("place", "protect")
    assert wakes.speaker == 0 and wakes.take("place")
    ring("decide", everywhere=True)
    assert wakes.speaker != 0 and wakes.take("decide")


async def test_after_the_line_was_cut_everything_is_asked_and_later_rings_are_heard(
    undriven: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE", 0.05)
    async with open_ear(Ear()) as ear:
        await in_thread(_cut)
        await heard(ear, len(STAGES))
        assert {stage for _, stage in ear.rung} == set(STAGES)
        ear.rung.clear()
        await in_thread(lambda: ring("measure"))
        await heard(ear, 1)
    assert [stage for _, stage in ear.rung] == ["measure"]


async def test_what_is_not_a_stage_is_not_heard(undriven: None) -> None:
    def strange() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('signalist_wakes', 'format the disk')")

    async with open_ear(Ear()) as ear:
        await in_thread(strange)
        await in_thread(lambda: ring("place"))
        await heard(ear, 1)
    assert [stage for _, stage in ear.rung] == ["place"]


def test_an_engine_decides_what_another_process_fanned_out_without_a_poll(scene: Scene) -> None:
    scene.minute()
    theo = scene.subscriber()
    scene.signal(entry(LONG, "39600", "40800"), wait=True)
    wakes.clear()

    database = of_the_test_run(connection)

    async def woken() -> None:
        line = Listening(scene.engine.wakes, scene.engine.news.set)
        task = asyncio.create_task(line.listen())
        await asyncio.wait_for(line.is_up.wait(), 10)
        wakes.clear()
        scene.engine.news.clear()
        statement = FANNING_OUT.format(now=scene.clock.now().isoformat())
        try:
            said = await asyncio.to_thread(manage, database, "shell", "--no-imports", "-c", statement)
            assert said.out.split() == ["1"], said.err
            await asyncio.wait_for(scene.engine.news.wait(), 1)
        finally:
            task.cancel()
            await asyncio.wait([task])

    scene.drive(woken())
    scene.settle()
    assert scene.position(theo).is_open


def _cut() -> None:
    """The server ends every line that listens, as when it is restarted."""
    where = address()
    assert where is not None
    with psycopg.connect(**where, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database() AND query = 'LISTEN signalist_wakes'"
        )
