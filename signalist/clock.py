"""The one place that reads a clock.

Stages, venues and matchers are handed a `Clock`; everything else that asks the machine for the time is refused by the linter.
Market time (`now`) is an aware UTC datetime; `monotonic` is seconds for deadlines and durations, which go on while the host sleeps and
never go back.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells market time. In a replay that is the time of the recorded candle, elsewhere the machine's."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ReplayClock:
    """A clock that stands still until it is moved forward: recorded market time."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("A replay clock starts at an aware UTC time.")
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """Move to `moment`; a clock that went back would make deadlines meaningless, so that is refused."""
        if moment < self._now:
            raise ValueError(
                f"The replay clock stands at {self._now.isoformat()} and cannot go back to {moment.isoformat()}."
            )
        self._now = moment


_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def monotonic() -> float:
    """Seconds from an arbitrary start, for deadlines and for measuring durations of our own work.

    They go on while the host sleeps, where it has such a clock (Linux: CLOCK_BOOTTIME, which CLOCK_MONOTONIC is not): what was claimed
    before a laptop was shut, or a virtual machine put aside, is past its deadline when it wakes. asyncio's own timers stand still with it.
    """
    return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)


def utc_now() -> datetime:
    """The machine's time, for rows that people create (a user, a tenant); stages are handed a Clock instead."""
    return datetime.now(UTC)
