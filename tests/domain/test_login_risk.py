"""How unusual a log-in is, by weights that add up to a hundred."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from signalist.domain.login_risk import Anomaly, Attempt, Response, assess, ban_length

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def _before(succeeded: bool, ago: timedelta, place: str = "DE", device: str = "laptop") -> Attempt:
    return Attempt(NOW - ago, succeeded, place, device)


HOME = _before(True, timedelta(days=3))
FAILURES = [_before(False, timedelta(minutes=m), "RU", "bot") for m in (1, 2, 4)]


@pytest.mark.parametrize(
    ("before", "place", "device", "score", "response"),
    [
        ([], "RU", "phone", 0, Response.NONE),  # of somebody unknown everything is new, which tells nothing
        ([HOME], "DE", "laptop", 0, Response.NONE),
        ([HOME], "FR", "laptop", 40, Response.NONE),
        ([HOME], "DE", "phone", 30, Response.NONE),
        ([HOME, *FAILURES], "DE", "laptop", 30, Response.NONE),
        ([HOME, *FAILURES], "DE", "phone", 60, Response.NONE),
        ([HOME], "FR", "phone", 70, Response.STEP_UP),
        ([HOME, *FAILURES], "FR", "laptop", 70, Response.STEP_UP),
        ([HOME, *FAILURES], "RU", "bot", 100, Response.ENTRIES_HELD),  # failures make nothing known
        ([HOME, *FAILURES[:2]], "RU", "bot", 70, Response.STEP_UP),
        ([_before(True, timedelta(days=91))], "FR", "phone", 0, Response.NONE),  # too long ago to know anything
    ],
)
def test_the_score_of_a_log_in(before: list[Attempt], place: str, device: str, score: int, response: Response) -> None:
    found = assess(Attempt(NOW, True, place, device), before)
    assert (found.score, found.response) == (score, response)
    assert len(found.anomalies) == len(set(found.anomalies))
    assert (Anomaly.NEW_LOCATION in found.anomalies) == (score in (40, 70, 100))


def test_failures_count_for_five_minutes() -> None:
    late = [_before(False, timedelta(minutes=5, seconds=s)) for s in (1, 2, 3)]
    assert assess(Attempt(NOW, True, "DE", "laptop"), [HOME, *late]).score == 0


def test_a_ban_lasts_an_hour_then_two_and_never_more_than_a_day() -> None:
    assert [ban_length(n) // timedelta(hours=1) for n in (0, 1, 2, 3, 4, 5, 500)] == [1, 2, 4, 8, 16, 24, 24]
