"""Kill -9 at every marked place of the pipeline, then start again: the venue's book shows one entry and one stop, and nothing is lost.

The counts say at which passage of a failpoint the process dies; they are chosen so that it dies while it trades. The recording
has its first signals at its fiftieth candle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.books import assert_books_balance, entries_per_tag
from tests.flows.commands import Databases, OwnDatabase, passages, replay
from tests.flows.markers import markers
from tests.flows.recordings import swings

BARS = 110
Kill = tuple[str, int]

NOT_IN_A_REPLAY = {
    "feed.prices.committed": "prices between two closes come from a live feed; a replay stores its prices with the candles",
    "engine.feeds.committed": "a replay feeds itself; tests/engine/test_deaths.py dies there",
    "leases.share_out.committed": "a replay is alone and shares with nobody; tests/flows/test_leases.py",
    "compare.call": "a replay is alone with its venue and looks at nobody's books; tests/flows/test_differences.py",
    "compare.called": "as compare.call",
    "compare.looks.committed": "as compare.call",
    "compare.answers.committed": "as compare.call",
    "compare.take_down": "as compare.call",
    "compare.taken_down": "as compare.call",
    "nameless.call": "venues of a replay know our names; tests/flows/test_nameless.py",
    "nameless.called": "as nameless.call",
    "protect.held_exits.committed": "no exit is held back here; tests/flows/test_held_exits.py",
    "protect.bare.committed": "no stop fails here; tests/flows/test_failing_stops.py dies there",
    "place.look": "no exit is repeated here, and none overtakes; tests/flows/test_waiting.py",
    "place.looked": "as place.look",
    "watch.batch.committed": "no venue of a replay leaves anything to be watched; tests/flows/test_crashes_beside.py",
    "switches.requests.committed": "staff ask for nothing in a replay; tests/flows/test_crashes_beside.py",
    "engine.hangs.committed": "said beside a thread that hangs, whose accounts then are for others; tests/flows/test_leases.py",
    "engine.egress.committed": "a share of what an address may ask, which is looked at with each heartbeat; tests/flows/test_egress.py",
    "engine.sandboxed.committed": "a note of the walls around strategies, for people; tests/engine/test_walls.py",
    "engine.beat_outside.committed": "a replay calls nobody outside; tests/engine/test_heartbeat.py",
    "gaps.find.committed": "a replay misses nothing; tests/engine/test_missing.py dies there",
    "gaps.judge.committed": "a replay misses nothing; tests/engine/test_missing.py dies there",
    "missed.answer.committed": "a replay misses nothing; tests/engine/test_missing.py dies there",
    "missed.answered.committed": "a replay misses nothing; tests/engine/test_missing.py dies there",
    "measure.snapshot.committed": "a replay at full speed takes no snapshots; tests/engine/test_deaths.py dies there",
}

# Each is one life after another on one database: the process dies at the first place, is started again, dies at the second …
WHILE_NOTHING_IS_UNDER_WAY: dict[str, list[Kill]] = {
    "before and after a candle": [
        ("engine.heartbeat.committed", 1),
        ("feed.candles.committed", 45),
        ("engine.register.committed", 1),
        ("run.take_over.committed", 1),
        ("reconcile.orphaned.committed", 1),
        ("reconcile.take_over.committed", 1),
        ("readiness.recheck.committed", 1),
        ("engine.taken_over.committed", 1),
        ("leases.acquire.committed", 1),
        ("run.claim.committed", 1),
        ("run.finish_quiet.committed", 2),
        ("replay.venue_done", 1),
    ],
    "at every step from the signal to the order": [
        ("run.finish.committed", 1),
        ("fan_out.signal.committed", 1),
        ("fan_out.signal.committed", 1),
        ("decide.batch.committed", 1),
    ],
    "at every step from the answer to the closed trade": [
        ("place.answers.committed", 1),
        ("reconcile.call", 1),
        ("reconcile.called", 2),
        ("reconcile.reports.committed", 1),
        ("protect.batch.committed", 1),
        ("place.answers.committed", 1),
        ("paper.market_committed", 1),
        ("measure.trades.committed", 2),
        ("leases.give_up.committed", 1),
        ("engine.ended.committed", 1),
    ],
}
ONCE_THE_VENUE_HAS_IT: dict[str, list[Kill]] = {
    "entries": [("place.called", 1), ("place.called", 2)],
    "protection, looked up": [
        ("place.called", 4),
        ("look_up.call", 1),
        ("look_up.called", 2),
        ("look_up.answers.committed", 1),
    ],
    "withdrawals and exits": [("place.called", 10), ("paper.committed", 1), ("paper.committed", 2)],
}
# The venue has not received what was on its way.
LOST_ENTRIES: list[Kill] = [
    ("place.claim.committed", 2),
    ("look_up.call", 1),
    ("look_up.answers.committed", 1),
    ("place.call", 1),
]
LOST_PROTECTION: list[Kill] = [("place.call", 4), ("place.call", 4), ("place.claim.committed", 3)]
BOUNDED = [*WHILE_NOTHING_IS_UNDER_WAY.values(), *ONCE_THE_VENUE_HAS_IT.values(), LOST_ENTRIES, LOST_PROTECTION]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """The recording, and what it comes to when nothing dies."""

    recording: Path
    passages: dict[str, int]
    report: dict[str, Any]


@pytest.fixture(scope="session")
def undisturbed(databases: Databases, migrated: OwnDatabase, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The same replay in peace, with its passages counted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    recording, database = swings(folder / "swings.csv", BARS, seed=4), databases.copy(migrated)
    counted = passages(database, recording, folder / "passages.json")
    report = replay(database, recording).report
    assert report["trades"] > 5 and report["orders"]["WORKING"] > 0, (
        "the recording does not trade enough to be killed in"
    )
    return Undisturbed(recording, counted, report)


def killed(database: OwnDatabase, recording: Path, kills: Sequence[Kill]) -> dict[str, Any]:
    """Kill the replay at each place in turn, then let it end; the report of its last life."""
    for name, count in kills:
        died = replay(database, recording, failpoint=f"{name}:{count}")
        assert died.was_killed, f"it did not die at {name}:{count} but ended with {died.status}: {died.err[-500:]}"
    return replay(database, recording).report


def assert_nothing_went_wrong(database: OwnDatabase, report: dict[str, Any]) -> None:
    """Nothing doubled, nothing bare, nothing left in doubt, and the books as they must be."""
    assert report["candles"] == report["runs"] == BARS
    assert report["runs_by_status"].keys() == {"NO_SIGNAL", "SUCCESS"}
    assert (report["duplicates"], report["unprotected"], report["executions"]["pending"]) == (0, 0, 0)
    assert report["orders"].keys() <= {"FILLED", "CANCELLED", "REJECTED", "WORKING", "PARTIAL"}
    assert_books_balance(database)


@pytest.mark.parametrize("lives", WHILE_NOTHING_IS_UNDER_WAY)
def test_a_death_while_nothing_is_under_way_changes_nothing(
    lives: str, undisturbed: Undisturbed, own_database: OwnDatabase
) -> None:
    report = killed(own_database, undisturbed.recording, WHILE_NOTHING_IS_UNDER_WAY[lives])
    assert_nothing_went_wrong(own_database, report)
    assert report["digest"] == undisturbed.report["digest"]
    assert report["orders"] == undisturbed.report["orders"]


@pytest.mark.parametrize("lives", ONCE_THE_VENUE_HAS_IT)
def test_what_the_venue_had_received_is_adopted(
    lives: str, undisturbed: Undisturbed, own_database: OwnDatabase
) -> None:
    report = killed(own_database, undisturbed.recording, ONCE_THE_VENUE_HAS_IT[lives])
    assert_nothing_went_wrong(own_database, report)
    assert report["digest"] == undisturbed.report["digest"]
    assert report["orders"] == undisturbed.report["orders"]


def assert_given_up_for_good(database: OwnDatabase, report: dict[str, Any]) -> None:
    """What was lost on the way is rejected after two looks, the venue has never seen it, and no order was sent twice."""
    lost = database.rows("SELECT client_order_id, reason, looks, attempts FROM trading_order WHERE status = 'REJECTED'")
    assert len(lost) == report["orders"]["REJECTED"] >= 3
    assert {(reason, looks, attempts) for _, reason, looks, attempts in lost} == {("the venue never received it", 2, 1)}
    received = {key for (key,) in database.rows("SELECT client_order_id FROM accounts_paperorder")}
    assert received.isdisjoint(key for key, *_ in lost)
    placed = database.rows("SELECT COUNT(*) FROM trading_orderattempt WHERE action = 'PLACE' GROUP BY order_id")
    assert set(placed) == {(1,)}


def test_an_entry_that_the_venue_never_received_is_given_up_and_its_money_is_free_again(
    undisturbed: Undisturbed, own_database: OwnDatabase
) -> None:
    report = killed(own_database, undisturbed.recording, LOST_ENTRIES)
    assert_nothing_went_wrong(own_database, report)
    assert_given_up_for_good(own_database, report)
    assert report["trades"] < undisturbed.report["trades"]
    taken = report["executions"]["taken"] + report["executions"]["resized"]
    lost = own_database.rows("SELECT COUNT(*) FROM trading_order WHERE status = 'REJECTED' AND leg = 'ENTRY'")
    exits = own_database.rows("SELECT COUNT(*) FROM trading_order WHERE leg = 'EXIT' AND n = 0")
    assert sum(entries_per_tag(own_database).values()) == taken - lost[0][0] - exits[0][0] > 0
    held = "SELECT COUNT(*) FROM trading_reservation r JOIN trading_order o ON o.id = r.order_id WHERE o.status = 'REJECTED'"
    assert own_database.rows(f"{held} AND r.released") == lost
    assert own_database.rows(f"{held} AND NOT r.released") == [(0,)]


def test_protection_that_the_venue_never_received_is_replaced_under_the_next_number(
    undisturbed: Undisturbed, own_database: OwnDatabase
) -> None:
    report = killed(own_database, undisturbed.recording, LOST_PROTECTION)
    assert_nothing_went_wrong(own_database, report)
    assert_given_up_for_good(own_database, report)
    numbers = own_database.rows("SELECT n, status FROM trading_order WHERE leg = 'STOP' AND n < 3 ORDER BY id LIMIT 9")
    assert numbers == [(0, "REJECTED")] * 3 + [(1, "REJECTED")] * 3 + [(2, "CANCELLED")] * 3
    assert report["digest"] == undisturbed.report["digest"]


def test_the_bounded_part_dies_at_every_marked_place_once() -> None:
    died_at = {name for kills in BOUNDED for name, _ in kills}
    assert died_at == {marker.name for marker in markers()} - NOT_IN_A_REPLAY.keys()


def test_a_place_that_is_excused_is_indeed_not_passed(undisturbed: Undisturbed) -> None:
    assert NOT_IN_A_REPLAY.keys() <= {marker.name for marker in markers()}
    assert not NOT_IN_A_REPLAY.keys() & undisturbed.passages.keys()


# --- The whole matrix ----------------------------------------------------------------------------

PARTS = (0.0, 0.3, 0.6, 0.9)
ALL_PLACES = sorted({marker.name for marker in markers()} - NOT_IN_A_REPLAY.keys())
# Passed only by a process that finds a dead one's work in doubt: the process before it dies here.
AFTER_A_DEATH: dict[str, Kill] = {
    name: ("place.call", 4)
    for name in ALL_PLACES
    if name.startswith(("look_up.", "run.take_over", "reconcile.", "engine.taken_over"))
}


@pytest.mark.soak
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ALL_PLACES)
def test_a_death_at_any_passage_leaves_balanced_books(
    name: str, part: float, undisturbed: Undisturbed, own_database: OwnDatabase
) -> None:
    passed = undisturbed.passages.get(name, 0)
    kills = [(name, 1 + int(part * (passed - 1)))] if passed else [AFTER_A_DEATH[name], (name, 1)]
    report = killed(own_database, undisturbed.recording, kills)
    assert_nothing_went_wrong(own_database, report)
