"""Kill -9 at every marked place while an order is entered at market, at a limit, in parts, and closed again, at a venue in another
process: the next engine goes on, and the venue's book shows one entry, one stop and the right money.

A story is told once with a death at each place (`soak`), and once with many deaths one after the other, so that together the four
pass over all places. A place that is new is in the whole matrix by itself, and has to be put into the short part.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from django.db import connection

from tenants.doors import across_tenants
from tests import emptying
from tests.flows.loopback_stage import Stage, anew
from tests.flows.markers import markers

pytestmark = pytest.mark.django_db(transaction=True)

ELSEWHERE = {
    "feed.candles.committed": "whoever stores candles dies there, not an engine; tests/flows/test_crashes.py",
    "feed.prices.committed": "the same of prices",
    "engine.feeds.committed": "tests/engine/test_deaths.py",
    "replay.venue_done": "tests/flows/test_crashes.py",
    "paper.committed": "the paper venue's own; tests/flows/test_crashes.py",
    "paper.market_committed": "the paper venue's own; tests/flows/test_crashes.py",
    "gaps.find.committed": "nothing is missed here; tests/engine/test_missing.py dies there",
    "gaps.judge.committed": "as gaps.find.committed",
    "missed.answer.committed": "as gaps.find.committed",
    "missed.answered.committed": "as gaps.find.committed",
    "engine.hangs.committed": "said beside a thread that hangs, whose accounts then are for others; tests/flows/test_leases.py",
    "engine.egress.committed": "a share of what an address may ask, which is looked at with each heartbeat; tests/flows/test_egress.py",
    "engine.sandboxed.committed": "a note of the walls around strategies, for people; tests/engine/test_walls.py",
    "engine.beat_outside.committed": "a note of a call to somebody outside, on which no order stands",
    "protect.held_exits.committed": "no exit is held back here; tests/flows/test_held_exits.py",
    "protect.bare.committed": "no stop fails here; tests/flows/test_failing_stops.py dies there",
    "place.look": "no exit is repeated here, and none overtakes; tests/flows/test_waiting.py",
    "place.looked": "as place.look",
    "watch.batch.committed": "this venue leaves nothing to be watched; tests/flows/test_crashes_beside.py",
    "switches.requests.committed": "staff ask for nothing here; tests/flows/test_crashes_beside.py",
    "nameless.call": "this venue knows our names; tests/flows/test_nameless_deaths.py dies at one that does not",
    "nameless.called": "as nameless.call",
    "compare.answers.committed": "nobody answers here; tests/flows/test_crashes_beside.py",
    "compare.take_down": "as compare.answers.committed",
    "compare.taken_down": "as compare.answers.committed",
}
ON_POSTGRESQL = {"leases.share_out.committed": "an engine is alone on SQLite"}
# Passed only by an engine that finds a dead one's work: the one before it dies in the middle of a trade.
AFTER_A_DEATH = {
    "engine.register.committed",
    "engine.taken_over.committed",
    "reconcile.take_over.committed",
    "run.take_over.committed",
    "look_up.call",
    "look_up.called",
    "look_up.answers.committed",
}
# What was not on its way yet when its engine died is given up: nobody can know, and an entry is never sent twice.
MAY_LOSE = {"place.claim.committed", "place.call"}
BY_THE_CLOCK = {"engine.heartbeat.committed"}
FIRST_PLACING = {"close": 10}
"""Which call of a venue places an order; what closes positions begins with eight cancels."""
AT_THE_END = {"leases.give_up.committed", "engine.ended.committed"}
NAMES = sorted({marker.name for marker in markers()} - ELSEWHERE.keys())

Story = Callable[[Stage], None]


# --- The stories ---------------------------------------------------------------------------------


def market(stage: Stage) -> None:
    """A candle that says nothing, and one on which everybody enters at market."""
    _quiet(stage)
    stage.candle(40)
    stage.settle()
    stage.check()


def limit(stage: Stage) -> None:
    """Entries that rest until the market comes to them."""
    _quiet(stage)
    stage.candle(40)
    stage.settle()
    stage.tick("-50")
    stage.settle()
    stage.check()


def partial(stage: Stage) -> None:
    """Entries of which the market takes one part at once and the other when it moves."""
    stage.venue.control("faults", faults=[{"refs": list(stage.refs), "kind": "partial"}])
    _quiet(stage)
    stage.candle(40)
    stage.settle()
    stage.check()
    stage.tick("-5")
    stage.settle()
    stage.check()


def close(stage: Stage) -> None:
    """Positions that are protected, and closed on the next signal."""
    stage.candle(40)
    stage.settle()
    _quiet(stage)
    stage.candle(-40)
    stage.settle()
    stage.check()
    assert all(not one["net"] and not one["resting"] for one in stage.book().values())


def _quiet(stage: Stage) -> None:
    """From here on the engine dies where it is to die; nothing happens at this candle."""
    stage.arm()
    stage.candle(0)
    stage.settle()


STORIES: dict[str, Story] = {"market": market, "limit": limit, "partial": partial, "close": close}

_LIMITS = {
    "sqlite": [
        """CREATE TRIGGER limits AFTER INSERT ON trading_order WHEN NEW.leg = 'ENTRY'
        BEGIN UPDATE trading_order SET type = 'LIMIT', price = '40000' WHERE id = NEW.id; END"""
    ],
    "postgresql": [
        """CREATE FUNCTION limits() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.type := 'LIMIT'; NEW.price := 40000; RETURN NEW; END $$""",
        "CREATE TRIGGER limits BEFORE INSERT ON trading_order FOR EACH ROW WHEN (NEW.leg = 'ENTRY') EXECUTE FUNCTION limits()",
    ],
}
_NO_LIMITS = {"sqlite": "DROP TRIGGER limits", "postgresql": "DROP FUNCTION limits() CASCADE"}


@contextmanager
def entries_at_a_limit() -> Iterator[None]:
    """Whatever writes an entry writes it at a limit of 40000: no stage does so by itself."""
    _execute(*_LIMITS[connection.vendor])
    try:
        yield
    finally:
        _execute(_NO_LIMITS[connection.vendor])


def _execute(*statements: str) -> None:
    with across_tenants("tests"), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def told(story: str, stage: Stage, *lives: str, count: Path | None = None) -> None:
    """Tell a story in which engines die at these places one after the other."""
    with entries_at_a_limit() if story == "limit" else nullcontext():
        first, *stage.lives = lives or ("",)
        stage.start(first, count=count)
        stage.settle()
        STORIES[story](stage)
        _die(stage)


def _die(stage: Stage) -> None:
    """Whoever is still to die does so now: what is passed every few seconds, or when an engine ends."""
    while (engine := stage.engines[-1]).armed:
        if _name(engine.armed) in AT_THE_END:
            engine.send(signal.SIGTERM)
        stage.wait(lambda engine=engine: stage.ended(engine), f"it passes {engine.armed}", 5.0, tend=False)  # type: ignore[misc]
        stage.tend()
        stage.settle()
        stage.check()


def _name(armed: str) -> str:
    return armed.removeprefix("@").partition(":")[0]


# --- Many deaths in one story --------------------------------------------------------------------

LIVES: dict[str, list[str]] = {
    "market": [
        "@run.finish_quiet.committed",
        "run.claim.committed",
        "run.take_over.committed",
        "run.finish.committed",
        "fan_out.signal.committed",
        "decide.batch.committed",
        "place.called:2",
        "look_up.called",
    ],
    "limit": [
        "@place.called:2",
        "engine.register.committed",
        "reconcile.take_over.committed",
        "readiness.recheck.committed",
        "look_up.call",
        "reconcile.reports.committed",
        "protect.batch.committed",
        "engine.heartbeat.committed",
    ],
    "partial": [
        "@measure.snapshot.committed",
        "leases.acquire.committed",
        "reconcile.call",
        "place.answers.committed",
        "place.called:3",
        "look_up.answers.committed",
        "reconcile.called:3",
        "engine.taken_over.committed",
        "compare.call",
        "compare.called",
        "compare.looks.committed",
    ],
    "close": [
        "@place.claim.committed",
        "reconcile.orphaned.committed",
        "place.call",
        "measure.trades.committed",
        "leases.give_up.committed",
        "engine.ended.committed",
    ],
}


@pytest.mark.parametrize("story", LIVES)
def test_one_death_after_another(story: str, stage: Stage) -> None:
    told(story, stage, *LIVES[story])
    assert stage.deaths == LIVES[story]


@pytest.mark.postgresql
def test_a_death_while_accounts_are_given_to_a_newcomer(stage: Stage) -> None:
    stage.start(next(iter(ON_POSTGRESQL)))
    stage.settle()
    stage.start()
    stage.wait(lambda: stage.ended(stage.engines[0]), "it gives accounts away")
    market(stage)
    assert stage.deaths == list(ON_POSTGRESQL)


def test_the_short_part_dies_at_every_place() -> None:
    died_at = {_name(armed) for lives in LIVES.values() for armed in lives}
    assert died_at == set(NAMES) - ON_POSTGRESQL.keys()


# --- The whole matrix ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def passed() -> dict[str, dict[str, int]]:
    """How often each story passes each place from the moment on at which engines are armed; filled as stories are counted."""
    return {}


def _counted(story: str, stage: Stage, passed: dict[str, dict[str, int]], folder: Path) -> dict[str, int]:
    if story not in passed:
        told(story, stage, count=folder / "count")
        stage.stop()
        passed[story] = json.loads((folder / "count").read_text(encoding="utf-8"))
        stage.clear()
        emptying.empty()
        anew(stage, len(stage.refs))
    return passed[story]


@pytest.mark.soak
@pytest.mark.parametrize("part", [0.0, 0.5])
@pytest.mark.parametrize("name", sorted(set(NAMES) - ON_POSTGRESQL.keys()))
@pytest.mark.parametrize("story", STORIES)
def test_a_death_at_any_place_of_any_story(
    story: str, name: str, part: float, stage: Stage, passed: dict[str, dict[str, int]], tmp_path: Path
) -> None:
    if name in AFTER_A_DEATH:
        place = "place.called" if part else "place.call"
        told(story, stage, f"@{place}:{FIRST_PLACING.get(story, 2)}", name)
        assert [_name(armed) for armed in stage.deaths][1:] == [name]
        assert not (stage.lost() and part)
        return
    count = _counted(story, stage, passed, tmp_path).get(name, int(name in BY_THE_CLOCK))
    if not count:
        assert name in NOT_IN_EVERY_STORY
        return
    told(story, stage, f"@{name}:{1 + int(part * (count - 1))}")
    # What is passed by the clock may be passed less often this time.
    assert [_name(armed) for armed in stage.deaths] == [name] or part
    assert name in MAY_LOSE or not stage.lost()


NOT_IN_EVERY_STORY = {"measure.trades.committed": "nothing is closed in the others"}
