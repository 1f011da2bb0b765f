"""One market's candles of one timeframe as a stream tells them: which are closed, which are missing, which come too early or too late.

Pure: it is told what arrives and what time it is, and answers with what follows. A candle counts as closed where its venue says so, or
where its time is over, as whoever listens knows of its venue, and the stream lives; never before its time is over by our clock, whatever
anybody says. What is closed is told in any order: whether that row exists already, and whether it says the same, is for whoever stores it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from signalist.domain.candles import Candle
from signalist.domain.errors import DomainError
from signalist.domain.money import is_storable, settle
from signalist.domain.timeframes import Timeframe
from signalist.venues.market_data import SETTLES

REMEMBERED = 64
"""Closed candles whose values are remembered, to tell a repetition from news without asking the database."""
TOO_MANY = 1_000
"""A longer hole is not filled one by one: the series begins anew behind it, and the hole is said to be one."""


@dataclass(slots=True)
class Counts:
    """What was wrong with what arrived."""

    duplicates: int = 0
    late: int = 0
    early: int = 0
    malformed: int = 0
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """A candle that is closed. `behind`: later ones were settled before it."""

    candle: Candle
    behind: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The closes from `first` to `last`, both included, did not arrive by themselves. `given_up`: too many to be filled one by one."""

    first: datetime
    last: datetime
    given_up: bool = False


Finding = Settled | Missing


@dataclass(slots=True)
class Series:
    """`newest` is the newest close that was settled or given up, None before the first. `open` are unfinished candles as they stand: one,
    or two where the venue's clock is ahead of ours."""

    frame: Timeframe
    newest: datetime | None = None
    open: dict[datetime, Candle] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    _known: OrderedDict[datetime, tuple[Candle, bool]] = field(default_factory=OrderedDict)

    def heard(self, candle: Candle, now: datetime, *, closed: bool) -> list[Finding]:
        """A candle arrived: `closed` is what its venue says of it."""
        if not self._is_sound(candle):
            self.counts.malformed += 1
            return []
        if self.newest is not None and candle.close_time <= self.newest:
            return self._again(candle, closed)
        if candle.close_time <= now and closed:
            before = self._over(candle.close_time - self.frame.length)
            return [*before, *self._before(candle.close_time), *self._settle(candle, by_venue=True)]
        # Unfinished by our clock, whatever the venue says: it is stored when its time is over, as it stands then.
        self.counts.early += closed
        if candle.close_time > self.frame.next_close(now) + self.frame.length:
            self.counts.early += not closed
            return []
        standing = self.open.get(candle.close_time)
        if standing is not None and not closed and candle.volume < standing.volume:
            self.counts.late += 1  # nothing is taken out of a candle again: this is how it stood before
            return []
        self.open[candle.close_time] = candle
        return self._over(min(candle.close_time - self.frame.length, self.frame.last_close(now)))

    def passed(self, now: datetime) -> list[Finding]:
        """Time went by on a stream that lives: what is over by now is closed, and what should be and is not there is missing."""
        over = self.frame.last_close(now - SETTLES)
        found = self._over(over)
        if self.newest is not None and self.newest < over:
            found += self._hole(over)
        return found

    def doubted(self, over: datetime) -> list[Finding]:
        """Up to `over` everything should be closed, and the stream does not say so: it is asked of history, however it stands here."""
        if self.newest is None or self.newest >= over:
            return []
        self.open = {close: candle for close, candle in self.open.items() if close > over}
        return self._hole(over)

    def _over(self, until: datetime) -> list[Finding]:
        """Settle the unfinished candles up to `until`, and say what is missing before each."""
        found: list[Finding] = []
        for close in sorted(close for close in self.open if close <= until):
            candle = self.open[close]
            found += [*self._before(close), *self._settle(candle, by_venue=False)]
        return found

    def _is_sound(self, candle: Candle) -> bool:
        try:
            candle.checked()
        except DomainError:
            return False
        numbers = (candle.high, candle.volume, candle.low)
        return self.frame.is_close(candle.close_time) and all(map(is_storable, numbers)) and settle(candle.low) > 0

    def stored(self, newest: datetime | None) -> None:
        """What is stored already reaches up to `newest`."""
        if newest is not None and (self.newest is None or newest > self.newest):
            self.newest = newest

    def forget_open(self) -> None:
        """The stream was interrupted: what the unfinished candle got meanwhile is not known, so it must be told anew."""
        self.open.clear()

    def _again(self, candle: Candle, closed: bool) -> list[Finding]:
        """Something of a time that is settled: a repetition, a confirmation, or other values than were told before."""
        if not closed:
            self.counts.late += 1
            return []
        if self.newest is not None and candle.close_time < self.newest - self.frame.length * REMEMBERED:
            return []  # a stream that begins with its past: what is missing of that is asked of history
        known = self._known.get(candle.close_time)
        if known is not None and known[0] == candle:
            self.counts.duplicates += known[1]
            self._known[candle.close_time] = (candle, True)
            return []
        self._remember(candle, by_venue=True)
        return [Settled(candle, behind=True)]

    def _settle(self, candle: Candle, *, by_venue: bool) -> list[Finding]:
        self._remember(candle, by_venue=by_venue)
        if self.newest is None or candle.close_time > self.newest:
            self.newest = candle.close_time
        for close in [close for close in self.open if close <= candle.close_time]:
            del self.open[close]
        return [Settled(candle)]

    def _remember(self, candle: Candle, *, by_venue: bool) -> None:
        self._known[candle.close_time] = (candle, by_venue)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _before(self, close: datetime) -> list[Finding]:
        """What is missing between the newest and `close`, which is there."""
        return [] if self.newest is None else self._hole(close - self.frame.length)

    def _hole(self, last: datetime) -> list[Finding]:
        """Everything behind the newest up to `last` is missing; the series goes on behind it."""
        assert self.newest is not None
        first = self.newest + self.frame.length
        if first > last:
            return []
        self.newest = last
        count = int((last - first) / self.frame.length) + 1
        self.counts.gaps += count
        return [Missing(first, last, given_up=count > TOO_MANY)]


def closes(frame: Timeframe, missing: Missing) -> Iterator[datetime]:
    """Each close that is missing, in order."""
    at = missing.first
    while at <= missing.last:
        yield at
        at += frame.length


def flat(close: datetime, before: Candle) -> Candle:
    """What stands where nothing was traded: the close before, and no volume."""
    return Candle(close, before.close, before.close, before.close, before.close, before.volume * 0)
