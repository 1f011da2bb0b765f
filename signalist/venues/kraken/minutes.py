"""When Kraken is to be asked what time it is, so that nobody takes one of its candles for over before it is. Pure.

Its stream closes no candle until the next one has a trade, and its tickers carry no time. But it answers a ping with its own time, in one
line with everything else that it says: once a pong names a moment after a candle's close, what was traded in it has been said. So it is
pinged soon after each close, by its own clock as far as that is known, and again where the answer says that it was too early.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from signalist.domain.timeframes import Timeframe
from signalist.venues.market_data import SETTLES

AGAIN, TOO_EARLY = 1.0, 0.25
"""Seconds after which a ping without an answer is followed by another, and one whose answer named a time before the close."""
LATEST = 16
MARGIN = timedelta(milliseconds=20)


@dataclass(slots=True)
class Minutes:
    """Of one connection with candles of `frame`. `told` is the time that Kraken named last; moments `at` are monotonic seconds."""

    frame: Timeframe
    told: datetime | None = None
    _asked: dict[int, float] = field(default_factory=dict)
    _ahead: deque[timedelta] = field(default_factory=lambda: deque(maxlen=LATEST))
    _last: float = float("-inf")

    @property
    def ahead(self) -> timedelta | None:
        """How far its clock is ahead of ours, as far as that shows: what took longest to arrive makes it look late, and is not believed."""
        return max(self._ahead, default=None)

    def is_due(self, now: datetime, at: float) -> bool:
        """Whether to ping, at `now` by Kraken's clock as far as it is known."""
        over = self.frame.last_close(now - SETTLES - MARGIN)
        if self.told is not None and self.told >= over + SETTLES:
            return False
        return at - self._last >= TOO_EARLY and all(at - asked >= AGAIN for asked in self._asked.values())

    def asked(self, number: int, at: float) -> None:
        """A ping has gone out."""
        self._last = at
        self._asked = {n: when for n, when in self._asked.items() if at - when < 2 * AGAIN} | {number: at}

    def says(self, there: datetime, ours: datetime) -> None:
        """Kraken has named its time, which was read at `ours`."""
        self.told = there
        self._ahead.append(there - ours)

    def answered(self, number: int, at: float) -> float | None:
        """A pong has come: how long it was under way, None for an answer to what was not asked here."""
        asked = self._asked.pop(number, None)
        return None if asked is None else at - asked
