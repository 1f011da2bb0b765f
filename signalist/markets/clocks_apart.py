"""How far a venue's clock and ours are apart, as a feed's own row shows it. Both return what is to be noted of it, "" for nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from signalist.markets.feed_models import FeedSource

SKEWED = timedelta(seconds=2)
"""A venue's time that is ahead of ours by more says that one of the two clocks is wrong."""
APART = timedelta(seconds=1)
"""Clocks that are certainly that far apart, or an answer that takes as long, leave little of a run's two seconds."""


def by_price(row: FeedSource, at: datetime, now: datetime, late: timedelta, *, is_named: bool) -> str:
    """A price of the future: the venue's clock is ahead of ours by that much at least. One that is never young (`late`): ours is ahead, or
    what is said is late; which of the two shows where the venue names its time (`is_named`)."""
    ahead = at - now
    if ahead > SKEWED:
        return _apart(row, ahead, f"clock: a price of {ahead.total_seconds():.1f} s from now")
    if ahead < -SKEWED and late > SKEWED:
        return _apart(row, -late, f"clock: no price is younger than {late.total_seconds():.1f} s when it arrives")
    if not is_named:
        row.ahead_ms = 0
    return ""


def by_answer(row: FeedSource, at: datetime, way: float, now: datetime) -> str:
    """The venue has named its time, in answer to us: how far the two clocks are apart at the least, and how late its word is. `way`:
    seconds from our asking to its answer."""
    least, most = at - now, at - now + timedelta(seconds=way)
    if least > APART:
        return _apart(row, least, f"clock: ours is {least.total_seconds():.1f} s behind the venue's")
    if most < -APART:
        return _apart(row, most, f"clock: ours is {-most.total_seconds():.1f} s ahead of the venue's")
    row.ahead_ms = 0
    return f"late: the venue's answer to a ping took {way:.1f} s" if way > APART.total_seconds() else ""


def _apart(row: FeedSource, ahead: timedelta, why: str) -> str:
    row.ahead_ms = round(ahead.total_seconds() * 1000)
    return why
