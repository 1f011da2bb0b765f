"""A write that the database refuses loses nothing that a venue has said, and leaves no order without somebody who has it in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError

from signalist.accounts.models import AccountState, PaperOrder
from signalist.clock import monotonic
from signalist.db.wakes import wakes
from signalist.execution import inheriting, place
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.execution.place import Placer
from signalist.execution.reconcile import Reconciler
from signalist.risk.actions import Where, switch
from signalist.trading.models import AccountBalance, Position
from signalist.venues.transport.fence import Tenure
from tests.flows.scene import LONG, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    with opened() as world:
        world.minute()
        yield world
        world.books_agree = False  # only parts of the chain have been at work here


class Way:
    """The engine's way to the database, which may be broken."""

    def __init__(self, scene: Scene) -> None:
        self._database, self.broken = scene.engine.database, False

    async def __call__(self, work: Callable[[], Any]) -> Any:
        if self.broken:
            raise OperationalError("the server closed the connection")
        return await self._database(work)


def _placer(scene: Scene, way: Way) -> Placer:
    engine = scene.engine
    tenure = Tenure(60.0)
    tenure.renewed(monotonic())
    return Placer(engine.sessions, scene.clock, engine.id, way, news=engine.news.set, tenure=tenure)


def _decided(scene: Scene) -> None:
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)


async def _answered(scene: Scene, has_answers: Callable[[], bool]) -> None:
    news = scene.engine.news
    while not has_answers():
        news.clear()
        await asyncio.wait_for(news.wait(), 10)


def test_answers_that_could_not_be_written_are_written_later(scene: Scene) -> None:
    theo, way = scene.subscriber(), Way(scene)
    _decided(scene)
    placer = _placer(scene, way)

    async def placed() -> None:
        assert await placer.send() == 1
        await _answered(scene, lambda: placer.under_way.has_answers)
        way.broken = True
        with pytest.raises(OperationalError):
            await placer.write()
        way.broken = False
        assert await placer.write() == 1
        assert await placer.write() == 0

    scene.drive(placed())
    assert scene.order(theo, "ENTRY").status == "WORKING"


def test_an_order_whose_answer_is_being_written_is_no_orphan(scene: Scene) -> None:
    theo, way = scene.subscriber(), Way(scene)
    _decided(scene)
    placer, engine, now = _placer(scene, way), scene.engine.id, scene.clock.now()
    found: list[int] = []

    async def writing(work: Callable[[], Any]) -> Any:
        found.append(await way(lambda: inheriting.orphaned(engine, now, under_way=placer.orders)))
        return await way(work)

    async def placed() -> None:
        await placer.send()
        await _answered(scene, lambda: placer.under_way.has_answers)
        placer._in_database = writing
        await placer.write()

    scene.drive(placed())
    assert found == [0]
    assert scene.order(theo, "ENTRY").status == "WORKING"


def test_what_is_being_claimed_is_not_taken_for_an_orphan(scene: Scene) -> None:
    scene.subscriber()
    way = Way(scene)
    _decided(scene)
    placer = _placer(scene, way)

    async def claiming(work: Callable[[], Any]) -> Any:
        with pytest.raises(RuntimeError, match="while it claims"):
            _ = placer.orders
        return await way(work)

    async def placed() -> None:
        placer._in_database = claiming
        await placer.send()
        assert len(placer.orders) == 1

    scene.drive(placed())


def test_a_claim_that_is_repeated_forgets_nothing_that_it_had_committed(scene: Scene) -> None:
    """A batch is committed, the next one breaks off, and the engine repeats the whole: nobody else would send what was committed."""
    theo, way = scene.subscriber(), Way(scene)
    _decided(scene)
    placer = _placer(scene, way)

    async def twice(work: Callable[[], Any]) -> Any:
        await way(work)
        return await way(work)

    async def placed() -> None:
        placer._in_database = twice
        assert await placer.send() == 1
        await _answered(scene, lambda: placer.under_way.has_answers)
        placer._in_database = way
        await placer.write()

    scene.drive(placed())
    assert scene.order(theo, "ENTRY").status == "WORKING"


def test_reports_that_could_not_be_written_are_written_later(scene: Scene) -> None:
    theo, way = scene.subscriber(), Way(scene)
    _decided(scene)
    placer = _placer(scene, way)
    engine = scene.engine
    reconciler = Reconciler(engine.sessions, scene.clock, engine.id, way, news=engine.news.set)

    async def worked() -> None:
        await placer.send()
        await _answered(scene, lambda: placer.under_way.has_answers)
        await placer.write()
        await reconciler.read([theo.account_id])
        await _answered(scene, lambda: reconciler.has_answers)
        way.broken = True
        with pytest.raises(OperationalError):
            await reconciler.write()
        way.broken = False
        await reconciler.write()

    AccountBalance.objects.all().delete()
    scene.drive(worked())
    assert AccountBalance.objects.get().account_id == theo.account_id


def test_a_look_at_the_switches_that_would_come_too_soon_comes_a_moment_later(scene: Scene) -> None:
    theo, way = scene.subscriber(), Way(scene)
    _decided(scene)
    placer = _placer(scene, way)

    async def kept_back() -> None:
        turn = asyncio.Event()
        scene.venue.before(turn.wait, "place", leg="ENTRY")
        assert await placer.send() == 1
        assert await placer.send() == 0, "it looks"
        await way(lambda: switch(Where.platform(), AccountState.HALTED, "a drill", scene.clock.now(), who="Olivia"))
        assert await placer.send() == 0
        wakes.clear()
        await asyncio.sleep(2 * place.LOOK_AT_SWITCHES)
        assert wakes.take("place")
        await placer.send()
        turn.set()
        await _answered(scene, lambda: placer.under_way.has_answers)
        await placer.write()
        scene.later(5)
        await placer.send()

    scene.drive(kept_back())
    assert scene.order(theo, "ENTRY").reason[:21] == "kill switch, platform"
    assert not PaperOrder.objects.exists()


def test_an_entry_that_waits_for_its_turn_is_kept_back_by_a_kill_switch(scene: Scene, monkeypatch: Any) -> None:
    monkeypatch.setattr(place, "LOOK_AT_SWITCHES", 0.0)
    theo, way = scene.subscriber(), Way(scene)
    _decided(scene)
    placer = _placer(scene, way)

    async def kept_back() -> None:
        turn = asyncio.Event()
        scene.venue.before(turn.wait, "place", leg="ENTRY")
        assert await placer.send() == 1
        await asyncio.sleep(0)
        await way(lambda: switch(Where.platform(), AccountState.HALTED, "a drill", scene.clock.now(), who="Olivia"))
        assert await placer.send() == 0
        turn.set()
        await _answered(scene, lambda: placer.under_way.has_answers)
        assert await placer.write() == 1
        scene.later(5)
        assert await placer.send() == 1

    scene.drive(kept_back())
    order = scene.order(theo, "ENTRY")
    assert (order.status, order.reason[:21]) == ("CANCELLED", "kill switch, platform")
    assert not PaperOrder.objects.exists()
    assert not Position.objects.exists()
