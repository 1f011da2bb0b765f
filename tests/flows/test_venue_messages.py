"""What a venue says comes twice, in another order, late or not at all: the books are those of the venue all the same.

Each story is an entry, its protection and its exit on processes, with the venue misbehaving throughout.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.loopback_stage import Stage

pytestmark = pytest.mark.django_db(transaction=True)

PLACING = {"methods": ["place"]}
STORIES: dict[str, list[dict[str, Any]]] = {
    "everything is said twice": [{"kind": "twice"}],
    "what happened is said in another order": [{"kind": "shuffled"}, {"kind": "partial"}],
    "fills come before the answer to their order": [{"kind": "late", "seconds": 0.7, **PLACING}],
    "the first answers are lost": [{"kind": "drop", "times": 2, **PLACING}],
    "answers are lost and everything is said twice": [
        {"kind": "error_after", "times": 3, **PLACING},
        {"kind": "twice"},
    ],
    "an order whose answer is lost is not found at first": [
        {"kind": "empty", "times": 1, **PLACING},
        {"kind": "not_found", "times": 2},
    ],
}
SILENT: dict[str, list[dict[str, Any]]] = {
    "every other thing is never said": [{"kind": "gaps"}],
    "nothing is ever said": [{"kind": "mute"}],
    "nothing is said and answers are lost": [{"kind": "mute"}, {"kind": "drop", "times": 2, **PLACING}],
}
SHORT = ("what happened is said in another order", "fills come before the answer to their order")
ALL = STORIES | SILENT


@pytest.mark.parametrize(
    "story", [name if name in SHORT else pytest.param(name, marks=pytest.mark.soak) for name in ALL]
)
def test_the_books_are_those_of_the_venue_although(story: str, stage: Stage) -> None:
    stage.start()
    stage.settle()
    refs = list(stage.refs)
    stage.venue.control("faults", faults=[{"refs": refs, **fault} for fault in ALL[story]])
    stage.candle(40)
    stage.settle()
    stage.tick("-5")
    stage.settle()
    stage.check()
    stage.candle(-40)
    stage.settle()
    stage.tick("5")
    stage.settle()
    stage.check()
    assert stage.lost() == set()
    assert all(not one["net"] and not one["resting"] for one in stage.book().values())
