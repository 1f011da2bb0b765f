"""How unusual a log-in is: a score of 0 to 100 from what was seen of the account before.

Weights and look-back as the specification sets them (CON-118): a place that was not seen 40, a device that was not seen 30, repeated
failures right before 30. Only successes of the last 90 days make a place or a device known, or whoever guesses would make his own known;
and where there are none everything is new, which tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LOOK_BACK = timedelta(days=90)
FAILURES, FAILED_WITHIN = 3, timedelta(minutes=5)
STEP_UP_AT, HOLD_AT = 70, 90

BAN_AFTER, BAN_WINDOW = 10, timedelta(hours=24)
FIRST_BAN, LONGEST_BAN = timedelta(hours=1), timedelta(hours=24)


class Anomaly(StrEnum):
    """What is unusual."""

    NEW_LOCATION = "NEW_LOCATION"
    NEW_DEVICE = "NEW_DEVICE"
    MULTIPLE_FAILURES = "MULTIPLE_FAILURES"


class Response(StrEnum):
    """What is done about it by itself. None of them keeps anybody from exits and from what protects."""

    NONE = ""
    STEP_UP = "MFA_REQUIRED"
    ENTRIES_HELD = "TRADING_DISABLED"


WEIGHTS = {Anomaly.NEW_LOCATION: 40, Anomaly.NEW_DEVICE: 30, Anomaly.MULTIPLE_FAILURES: 30}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in or a failed one. `place` is a country or a network, `device` a fingerprint; "" where unknown."""

    at: datetime
    succeeded: bool
    place: str
    device: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was found."""

    score: int
    anomalies: tuple[Anomaly, ...]

    @property
    def response(self) -> Response:
        """What follows from the score."""
        if self.score >= HOLD_AT:
            return Response.ENTRIES_HELD
        return Response.STEP_UP if self.score >= STEP_UP_AT else Response.NONE


def assess(attempt: Attempt, before: Sequence[Attempt]) -> Assessment:
    """Score `attempt` by those of the same account before it, in any order."""
    known = [past for past in before if past.succeeded and attempt.at - LOOK_BACK <= past.at <= attempt.at]
    failures = [past for past in before if not past.succeeded and attempt.at - FAILED_WITHIN <= past.at <= attempt.at]
    found = []
    if known and attempt.place not in {past.place for past in known}:
        found.append(Anomaly.NEW_LOCATION)
    if known and attempt.device not in {past.device for past in known}:
        found.append(Anomaly.NEW_DEVICE)
    if len(failures) >= FAILURES:
        found.append(Anomaly.MULTIPLE_FAILURES)
    return Assessment(sum(WEIGHTS[anomaly] for anomaly in found), tuple(found))


def ban_length(bans_before: int) -> timedelta:
    """How long an address stays out after ten failures (CON-119): an hour, doubling with each ban, a day at most."""
    return min(FIRST_BAN * (1 << min(bans_before, 10)), LONGEST_BAN)
