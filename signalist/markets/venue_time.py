"""What time it is at a venue, as a connection to it shows: by the venue's own word, or by how late its prices arrive. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LATELY, LATEST = timedelta(minutes=1), timedelta(hours=1)
NEWEST = 16


@dataclass(slots=True)
class VenueTime:
    """`told` is the time that the venue named last, behind all that it had said before."""

    told: datetime | None = None
    _ahead: deque[timedelta] = field(default_factory=lambda: deque(maxlen=NEWEST))

    def says(self, there: datetime | None, now: datetime) -> None:
        """It names its time (None: it does not), which is read at `now`."""
        if there is not None:
            self.told = there
            self._ahead.append(there - now)

    def guess(self, now: datetime) -> datetime:
        """What time it is there, as far as it has said lately: what took longest to arrive makes it look late, and is not believed. Never
        later than `now`."""
        return now + min(max(self._ahead, default=timedelta(0)), timedelta(0))


@dataclass(slots=True)
class Lateness:
    """How much later than it was made, by our clock, a price arrived at the least, lately: the way takes as long, or our clock is ahead.
    Either way the last trades of a candle are not here before. Each candle in which there was trade had prices of its own."""

    least: timedelta | None = None
    before: timedelta | None = None
    since: datetime | None = None

    def heard(self, at: datetime, now: datetime) -> None:
        """A price that was made at `at` arrived."""
        lag = min(max(now - at, timedelta(0)), LATEST)
        if self.since is None or now - self.since >= LATELY:
            self.before, self.least, self.since = self.least, lag, now
        self.least = lag if self.least is None else min(self.least, lag)

    def now(self) -> timedelta:
        """By how much what is heard now is late."""
        return min((lag for lag in (self.least, self.before) if lag is not None), default=timedelta(0))
