"""Exits and protection before entries where there is little room: among calls under way, at the venue's budget, and among connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from signalist.clock import monotonic
from signalist.execution import place
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.trading.models import Order
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.fence import Tenure
from signalist.venues.transport.ledger import Draw, RateLedger
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")
HELD, ENTERING = 3, 20


def turn_at(ledger: RateLedger, left: list[str], name: str, priority: Priority) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        await ledger.admit([Draw("venue")], priority)
        left.append(name)

    return wait


def test_what_closes_and_protects_leaves_before_the_entries_of_a_boundary_though_they_were_there_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "MOST_UNDER_WAY", 16)
    monkeypatch.setattr(place, "MOST_ENTERING", 8)
    monkeypatch.setattr(place, "SOME", 2)
    scene.minute()
    other = scene.strategy("other", scene.btc)
    held = [scene.subscriber(f"Held {n}") for n in range(HELD)]
    entering = [scene.subscriber(f"Entering {n}", schedule=other) for n in range(ENTERING)]
    scene.signal(BUY)
    assert all(scene.resting(one) for one in held)
    scene.minute()
    scene.signal(BUY, schedule=other, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    ledger, left = RateLedger(), list[str]()
    ledger.limit("venue", Budget(2, 20, entry_reserve=0.25, read_reserve=0.5))
    scene.venue.before(turn_at(ledger, left, "entry", Priority.ENTRY), "place", leg="ENTRY", times=99)
    scene.venue.before(turn_at(ledger, left, "cancel", Priority.PROTECTION), "cancel", times=99)
    engine, tenure = scene.engine, Tenure(60.0)
    tenure.renewed(monotonic())
    placer = place.Placer(engine.sessions, scene.clock, engine.id, engine.database, news=engine.news.set, tenure=tenure)

    async def until(cancels: int) -> None:
        async with asyncio.timeout(10):
            while left.count("cancel") < cancels:
                await placer.write()
                await placer.send()
                await asyncio.sleep(0.01)

    scene.drive(placer.send())
    assert len(placer.under_way) == 8, "the others wait in their rows"
    scene.signal(EXIT_LONG, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    begun = len(left)
    scene.drive(until(2 * HELD))
    assert left[begun:].count("entry") <= 1, "an entry went between them"
    assert Order.objects.filter(subscription__in=entering, status="CREATED").count() >= 5, "while entries wait"

    async def rest() -> None:
        async with asyncio.timeout(10):
            while left.count("entry") < ENTERING:
                await placer.write()
                await placer.send()
                await asyncio.sleep(0.01)
        await placer.under_way.end(5.0)
        await placer.write()

    scene.drive(rest())
    assert not Order.objects.filter(status="UNKNOWN").exists()


def test_one_venue_of_several_has_no_more_than_its_share_in_hand(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MOST_UNDER_WAY", 20)
    monkeypatch.setattr(place, "MOST_ENTERING", 10)
    monkeypatch.setattr(place, "SOME", 2)
    scene.minute()
    held = scene.subscriber("Held")
    other = scene.strategy("other", scene.btc)
    scene.signal(BUY)
    for n in range(ENTERING):
        scene.subscriber(f"Entering {n}", schedule=other)
    scene.minute()
    scene.signal(BUY, schedule=other, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    engine, tenure, turn = scene.engine, Tenure(60.0), asyncio.Event()
    tenure.renewed(monotonic())
    placer = place.Placer(engine.sessions, scene.clock, engine.id, engine.database, news=engine.news.set, tenure=tenure)
    scene.venue.before(turn.wait, "place", leg="ENTRY", times=99)
    monkeypatch.setattr(engine.sessions, "serves_several", lambda: True)

    async def sent(times: int) -> int:
        for _ in range(times):
            await placer.send()
        return len(placer.under_way)

    assert scene.drive(sent(4)) == 6, "the rest of its room is for another venue's"
    scene.signal(EXIT_LONG, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)

    async def rest() -> None:
        await placer.send()
        assert len(placer.under_way) > 6, "what closes is no entry"
        turn.set()
        async with asyncio.timeout(20):
            while placer.under_way or Order.objects.filter(status="CREATED").exists():
                await placer.write()
                await placer.send()
                await asyncio.sleep(0.01)

    scene.drive(rest())
    assert not Order.objects.filter(status="UNKNOWN").exists()
    assert scene.order(held, "STOP").status == "CANCELLED"


def test_near_its_share_a_venue_is_not_served_one_by_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MOST_UNDER_WAY", 20)
    monkeypatch.setattr(place, "MOST_ENTERING", 10)
    monkeypatch.setattr(place, "SOME", 4)
    scene.minute()
    for n in range(ENTERING):
        scene.subscriber(f"Entering {n}")
    scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    engine, tenure, turn = scene.engine, Tenure(60.0), asyncio.Event()
    tenure.renewed(monotonic())
    placer = place.Placer(engine.sessions, scene.clock, engine.id, engine.database, news=engine.news.set, tenure=tenure)
    first, *others = Order.objects.order_by("pk").values_list("account__venue_ref", flat=True)
    for ref in others:
        scene.venue.before(turn.wait, "place", ref=ref, times=99)
    monkeypatch.setattr(engine.sessions, "serves_several", lambda: True)

    async def nearly_full() -> tuple[int, int]:
        await placer.send()
        for _ in range(500):
            if await placer.write():
                break
            await asyncio.sleep(0.01)
        before = len(placer.under_way)
        await placer.send()
        return before, len(placer.under_way)

    assert scene.drive(nearly_full()) == (5, 9), f"only that of {first} was answered, and one more is its share"

    async def rest() -> None:
        turn.set()
        async with asyncio.timeout(20):
            while placer.under_way or Order.objects.filter(status="CREATED").exists():
                await placer.write()
                await placer.send()
                await asyncio.sleep(0.01)

    scene.drive(rest())
