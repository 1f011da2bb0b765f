"""An exit that cannot leave: somebody is told, and it goes as soon as it can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from signalist.execution.doubts import ALARM
from signalist.execution.held_exits import tell_held
from signalist.trading.answers import possible
from signalist.trading.discrepancies import Answer, Discrepancy, Kind, State
from signalist.trading.discrepancy_words import explained, title
from signalist.venues.errors import Busy, NoAnswer
from signalist.venues.paper.venue import CAPABILITIES
from tests.flows.by_hand import looks
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
NAMELESS = replace(CAPABILITIES, order_identity="none")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def nameless(transactional_db: None) -> Iterator[Scene]:
    with opened(capabilities=NAMELESS) as scene:
        scene.minute()
        yield scene


def held() -> list[Discrepancy]:
    """What was told of exits that do not leave."""
    return list(Discrepancy.objects.filter(kind=Kind.EXIT_HELD).order_by("pk"))


def passes(world: Scene, seconds: float) -> None:
    """Time passes with a sweep of the engine every five seconds."""
    for _ in range(int(seconds // 5)):
        world.later(5)
        world.price("40000")
        world.poll()


def test_an_exit_behind_a_doubt_without_a_name_is_told_of_once_and_is_over_when_it_has_left(nameless: Scene) -> None:
    world = nameless
    theo = world.subscriber()
    world.venue.loses_the_answer("place", leg="TARGET")
    world.venue.refuses(NoAnswer("Down."), "history", times=500)
    world.signal(BUY)
    assert world.order(theo, "TARGET").status == "UNKNOWN"
    world.minute()
    world.signal(EXIT_LONG)
    assert world.order(theo, "EXIT").status == "CREATED"
    passes(world, ALARM.total_seconds() - 5)
    assert not held()
    passes(world, 20)
    (row,) = held()
    assert (row.state, row.pauses) == (State.OPEN, False)
    assert "an order before it in this market is in doubt" in explained(row, None, "USD")
    passes(world, 30)
    assert len(held()) == 1
    world.venue._tricks.clear()
    passes(world, 70)
    assert world.trade(theo).exit_type == "SIGNAL"
    looks(world, 1)
    assert [row.state for row in held()] == [State.GONE]


def test_an_exit_that_its_venue_is_too_busy_for_again_and_again_is_told_of_once_and_is_over_when_it_has_left(
    scene: Scene,
) -> None:
    world = scene
    world.minute()
    theo = world.subscriber()
    world.signal(BUY)
    world.minute()
    world.venue.refuses(Busy("Too many requests.", after=3.0), leg="EXIT", times=500)
    world.signal(EXIT_LONG)
    passes(world, ALARM.total_seconds() - 5)
    assert not held(), "not yet"
    passes(world, 20)
    (row,) = held()
    assert (row.state, row.pauses, row.symbol) == (State.OPEN, False, "BTC-PERP")
    assert [told["kind"] for told in world.events("difference_found")] == ["EXIT_HELD"]
    assert (title(row.kind), possible(row)) == ("An exit does not leave", (Answer.CHECK,))
    said = explained(row, None, "USD")
    assert "What is to close 2.5 of BTC-PERP has not left since" in said and "Too many requests." in said
    assert world.stage(tell_held) == 0, "once"
    looks(world, 1)
    assert [row.state for row in held()] == [State.OPEN], "it is held still"
    world.venue._tricks.clear()
    passes(world, 20)
    assert world.trade(theo).exit_type == "SIGNAL"
    looks(world, 1)
    assert [row.state for row in held()] == [State.GONE]
