"""Every commit and every call of a venue in the pipeline is marked as a place to die, or the crash tests would pass it over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from signalist.accounts.models import PaperTape
from tests.flows.markers import BY_PEOPLE, SIGNALIST, UNITS, markers, violations
from tests.flows.scene import Scene

STAGES = SIGNALIST / "execution"


def test_no_commit_and_no_venue_call_of_a_stage_is_without_its_marker() -> None:
    assert violations(STAGES) == []


def test_what_feeds_and_runs_strategies_commits_at_markers_only(tmp_path: Path) -> None:
    for source in (SIGNALIST / "strategies" / "run.py", SIGNALIST / "markets" / "feeds.py"):
        shutil.copy(source, tmp_path)
    assert len(markers(tmp_path)) >= 5
    assert violations(tmp_path) == []


def test_every_name_marks_one_place() -> None:
    names = [marker.name for marker in markers()]
    assert len(names) > 20
    assert sorted(names) == sorted(set(names))


def test_every_stage_has_markers() -> None:
    marked = {marker.place.partition(":")[0] for marker in markers(STAGES)}
    assert marked >= {f"{stage}.py" for stage in ("fan_out", "decide", "place", "reconcile", "protect", "measure")}


def test_what_people_call_is_the_one_exception() -> None:
    assert {"actions.py"} == BY_PEOPLE
    assert (STAGES / "actions.py").is_file()


PLANTED = {
    "a transaction past a unit": (
        "measure.py",
        'with unit("measure.trades"):',
        "with transaction.atomic():",
        "atomic commits past a unit",
    ),
    "a unit without a written name": (
        "measure.py",
        'unit("measure.trades")',
        "unit(NAME)",
        "the name of a unit is not written out",
    ),
    "a name that is there already": (
        "measure.py",
        '"measure.trades"',
        '"decide.batch"',
        "decide.batch.committed is the name of 2 places",
    ),
    "a unit within a unit": (
        "decide.py",
        "        known = picture(executions, now)\n",
        '        with unit("decide.more"):\n            known = picture(executions, now)\n',
        "a unit within a unit",
    ),
    "no failpoint behind a call": (
        "place.py",
        '        failpoint("place.called")\n',
        "",
        "place is called without a failpoint before and behind it",
    ),
    "no failpoint before a call": (
        "reconcile.py",
        '        failpoint("reconcile.call")\n',
        "",
        "reports is called without a failpoint before and behind it",
    ),
    "a failpoint that is not always passed": (
        "reconcile.py",
        '        failpoint("look_up.called")\n',
        '        if within:\n            failpoint("look_up.called")\n',
        "look_up is called without a failpoint before and behind it",
    ),
    "a venue call in a new function": (
        "protect.py",
        "def _write(",
        "async def ask(sessions, account):\n    return await sessions.of(account).positions()\n\n\ndef _write(",
        "positions is called without a failpoint before and behind it",
    ),
    "a second caller past the failpoints": (
        "place.py",
        "def _rouse(",
        "async def again(errand, sessions):\n    return await _called(errand, sessions)\n\n\ndef _rouse(",
        "cancel is called without a failpoint before and behind it",
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_violation_is_caught(planted: str, tmp_path: Path) -> None:
    name, there, instead, expected = PLANTED[planted]
    copy = shutil.copytree(STAGES, tmp_path / "execution", ignore=shutil.ignore_patterns("__pycache__"))
    source = (copy / name).read_text(encoding="utf-8")
    assert there in source, f"{name} has changed; plant the violation elsewhere"
    (copy / name).write_text(source.replace(there, instead, 1), encoding="utf-8")
    assert any(expected in problem for problem in violations(copy)), violations(copy)


def test_the_reader_of_markers_sees_all_three_ways_to_write_one(tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text('failpoint("a")\nwith unit("b"): pass\nwith statement_unit("c"): pass\n')
    assert {marker.name for marker in markers(tmp_path)} == {"a", "b.committed", "c.committed"}
    assert {"unit", "statement_unit"} == UNITS


SAVEPOINT = """
def stage():
    with unit("stage"):
        part()


def part():
    with transaction.atomic():
        pass
"""


def test_a_savepoint_within_a_unit_is_no_commit(tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text(SAVEPOINT)
    assert violations(tmp_path) == []


def test_a_savepoint_that_is_a_transaction_for_one_of_its_callers_is_caught(tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text(f"{SAVEPOINT}\n\ndef by_hand():\n    part()\n")
    assert violations(tmp_path) == ["stage.py:8: atomic commits past a unit"]


# --- While it runs -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_write_outside_a_unit_is_noted_in_every_story(scene: Scene) -> None:
    scene.stage(lambda now: PaperTape.objects.update(time=now))
    assert [statement.split()[0] for statement in scene.bare_writes] == ["UPDATE"]
    scene.bare_writes.clear()
