"""The clock of a strategy's process: it stands at the close of the newest candle that the run is given, and nowhere before one is.

Loaded by path in the sandbox, so it imports only the standard library. What a strategy would do at another date it would do unseen by any
check. Replaced is what Python offers by name: `time`, `datetime` with its `date`, and the clock of pandas' Timestamp. What
numpy, and Timestamp itself, make of the word "now" in a text is in their compiled code: the gate refuses the word.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any

BEFORE = 946_684_800.0
"""2000-01-01: what the clock says while a file is asked for its declarations."""
_STEADY = ("monotonic", "perf_counter", "process_time", "thread_time")

_now = BEFORE


def stand_at(moment: float) -> None:
    """From now on it is `moment`, in seconds since 1970."""
    global _now  # noqa: PLW0603  # one clock in a process
    _now = moment


def install() -> None:
    """Put the standing clock in the place of this process's. Once, after everything is imported that shall keep the true one."""
    for name in ("time", *_STEADY):
        setattr(time, name, _seconds)
        setattr(time, f"{name}_ns", _nanoseconds)
    for name in ("clock_gettime", "clock_gettime_ns"):
        setattr(time, name, _nanoseconds_of if name.endswith("ns") else _seconds_of)
    for name in ("gmtime", "localtime", "ctime"):
        setattr(time, name, _of_moment(getattr(time, name)))
    gmtime, strftime, asctime = getattr(time, "gmtime"), getattr(time, "strftime"), time.asctime  # noqa: B009  # replaced here, and not asked
    setattr(time, "strftime", lambda form, at=None: strftime(form, gmtime() if at is None else at))  # noqa: B010
    time.asctime = lambda at=None: asctime(gmtime() if at is None else at)
    moment, day = dt.datetime, dt.date

    class OfDay(type):
        def __instancecheck__(cls, one: object) -> bool:
            return isinstance(one, day)

    class OfMoment(type):
        def __instancecheck__(cls, one: object) -> bool:
            return isinstance(one, moment)

    class StandingDate(dt.date, metaclass=OfDay):
        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(_now)

    class StandingDatetime(dt.datetime, metaclass=OfMoment):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(_now, tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(_now, dt.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(_now)

    for made, name in ((StandingDate, "date"), (StandingDatetime, "datetime")):
        made.__name__ = made.__qualname__ = name
        made.__module__ = "datetime"
        setattr(dt, name, made)
    if "pandas" in sys.modules:
        stamp = sys.modules["pandas"].Timestamp
        # Its `today` and `utcnow`, and `to_datetime`, ask this one.
        stamp.now = classmethod(lambda cls, tz=None: cls(_now, unit="s", tz=tz))


def _seconds() -> float:
    return _now


def _nanoseconds() -> int:
    return int(_now * 1_000_000_000)


def _seconds_of(_clock: int) -> float:
    return _now


def _nanoseconds_of(_clock: int) -> int:
    return _nanoseconds()


def _of_moment(true: Any) -> Any:
    def of(moment: float | None = None) -> Any:
        return true(_now if moment is None else moment)

    return of
