"""Exits and stops before entries, entries before targets, where there is little room: among calls under way, at the venue's budget, and
among connections."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from signalist.clock import monotonic
from signalist.db import fast
from signalist.domain.orders import Leg
from signalist.execution import leases, place, precedence
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from signalist.execution.precedence import Patience
from signalist.trading.models import Order, Subscription
from signalist.venues.errors import Busy
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.fence import Tenure
from signalist.venues.transport.ledger import Draw, RateLedger
from tenants.doors import across_tenants
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")
HELD, ENTERING = 3, 20
NOON = datetime(2022, 1, 1, 12, tzinfo=UTC)


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


# --- Targets -------------------------------------------------------------------------------------


def filled_and_entering(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> tuple[place.Placer, list[Subscription]]:
    """A placer with room for four calls; so many subscribers hold a position whose stop and target wait to be placed, and entries of others
    wait with them, all decided a moment before."""
    monkeypatch.setattr(place, "MOST_UNDER_WAY", 4)
    monkeypatch.setattr(place, "SOME", 2)
    scene.minute()
    other = scene.strategy("other", scene.btc)
    held = [scene.subscriber(f"Held {n}") for n in range(HELD)]
    for n in range(ENTERING):
        scene.subscriber(f"Entering {n}", schedule=other)
    scene.venue.refuses(Busy("Not now.", after=1.0), "place", leg="STOP", times=HELD)
    scene.venue.refuses(Busy("Not now.", after=1.0), "place", leg="TARGET", times=HELD)
    scene.signal(BUY)
    assert not any(scene.resting(one) for one in held)
    scene.later(5)
    scene.signal(BUY, schedule=other, wait=True)
    scene.stage(fan_out)
    scene.stage(decide)
    engine, tenure = scene.engine, Tenure(60.0)
    tenure.renewed(monotonic())
    named = (engine.sessions, scene.clock, engine.id, engine.database)
    return place.Placer(*named, news=engine.news.set, tenure=tenure), held


def sent(scene: Scene, placer: place.Placer, between: Callable[[], None] = lambda: None) -> list[str]:
    """The legs in the order in which they were sent, until nothing waits any more; what the entries' own fills ask for is not written."""
    begun = len(scene.venue.asked("place"))

    async def all_of_it() -> None:
        async with asyncio.timeout(20):
            while placer.under_way or Order.objects.filter(status="CREATED").exists():
                await placer.send()
                await placer.under_way.end(5.0)
                await placer.write()
                between()

    scene.drive(all_of_it())
    return [leg for _, leg in scene.venue.asked("place")[begun:]]


def test_stops_go_before_entries_and_entries_before_targets(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    placer, held = filled_and_entering(scene, monkeypatch)
    assert sent(scene, placer) == [Leg.STOP] * HELD + [Leg.ENTRY] * ENTERING + [Leg.TARGET] * HELD
    assert all(scene.order(one, "TARGET").status == "WORKING" for one in held)


def test_targets_come_to_their_turn_however_many_entries_there_are(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    placer, _ = filled_and_entering(scene, monkeypatch)
    now = 0.0
    monkeypatch.setattr(precedence, "monotonic", lambda: now)

    def pass_on() -> None:
        nonlocal now
        now += precedence.GAINS_WAIT / 2 + 0.1

    legs = sent(scene, placer, pass_on)
    first = legs.index(Leg.TARGET)
    assert first < legs.index(Leg.ENTRY) + 12, "two claims in which they waited, and one"
    assert legs[first : first + HELD] == [Leg.TARGET] * HELD
    assert Leg.ENTRY in legs[first:], "which went on after that"


def test_while_entries_fill_their_share_neither_they_nor_targets_take_the_room_of_what_protects(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    placer, held = filled_and_entering(scene, monkeypatch)
    monkeypatch.setattr(place, "MOST_UNDER_WAY", 12)
    monkeypatch.setattr(place, "MOST_ENTERING", 6)
    turn = asyncio.Event()
    scene.venue.before(turn.wait, "place", leg="ENTRY", times=99)
    Order.objects.filter(leg="STOP").update(not_before=scene.clock.now() + timedelta(seconds=1))

    async def claims() -> None:
        for _ in range(3):
            await placer.send()

    scene.drive(claims())
    assert len(placer.under_way) == 6
    scene.later(2)
    scene.drive(claims())
    assert len(placer.under_way) == 6 + HELD
    assert {scene.order(one, "STOP").status for one in held} == {"SENDING"}
    assert {scene.order(one, "TARGET").status for one in held} == {"CREATED"}
    turn.set()
    assert sent(scene, placer)[-HELD:] == [Leg.TARGET] * HELD


def test_a_target_that_is_withdrawn_before_it_was_sent_waits_for_no_entry(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    placer, (first, *_) = filled_and_entering(scene, monkeypatch)
    target = scene.order(first, "TARGET")
    Order.objects.filter(pk=target.pk).update(cancel_wanted=True)
    scene.drive(placer.send())
    assert scene.order(first, "TARGET").status == "CANCELLED"
    scene.drive(placer.under_way.end(5.0))
    scene.drive(placer.write())


def test_patience_ends_every_other_time_until_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(precedence, "monotonic", lambda: now)
    patience = Patience()
    patience.claimed(theirs=False, all_of_it=True)
    now += 1000.0
    assert not patience.is_over, "nothing was left behind"
    patience.claimed(theirs=False, all_of_it=False)
    assert not patience.is_over
    now += precedence.GAINS_WAIT + 0.1
    said = []
    for _ in range(4):
        said.append(patience.is_over)
        patience.claimed(theirs=said[-1], all_of_it=False)
    assert said == [True, False, True, False]
    patience.claimed(theirs=False, all_of_it=True)
    assert not patience.is_over


@pytest.mark.postgresql
@pytest.mark.parametrize("some", [precedence.ALL, precedence.NO_ENTRIES, precedence.PRESSING])
@pytest.mark.django_db
def test_a_claim_reads_no_more_orders_than_it_takes(some: str) -> None:
    """The index gives them in their order, so that what waits behind the last is not looked at."""
    held, holder = leases.of(uuid.uuid4())
    condition = precedence.WAITING.format(mine=held, some=some, open="")
    with across_tenants("engine"):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        told = fast.tuples(f"EXPLAIN SELECT id FROM trading_order WHERE {condition}", [NOON, NOON, -1, 0, *holder, 400])
    plan = "\n".join(line for (line,) in told)
    assert "Index Scan using order_waits" in plan, plan
    assert "Sort" not in plan, plan
