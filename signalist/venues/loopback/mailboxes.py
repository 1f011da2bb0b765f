"""What a stream has said of an account since its reports were last read, and whether that is all there is to know. Pure.

A mailbox answers for the venue as long as what came joins on without a gap; where it does not, or after a while anyway, the venue
itself is asked.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from signalist.venues.base import Balance, Reports
from signalist.venues.loopback import parse

TRUSTED = 60.0
"""Seconds after which the venue is asked even if its stream has missed nothing; up to twice as long, lest all accounts ask at once."""

AWAITED = 1.5
"""Seconds after which the venue is asked where its stream has not told of a market order that it has taken."""

Rows = Sequence[Sequence[str]]


@dataclass(slots=True)
class Mailbox:
    """One account's. All that is on the tape behind `base` up to `head` is in `parts`; `base` is None where that is not known.

    `heard` is how far the stream has got, `live` whether it says anything of the account, `told` how far the account's reader is.
    """

    ref: str
    base: int | None = None
    head: int = 0
    heard: int = 0
    live: bool = False
    money: Balance | None = None
    told: int | None = None
    asked_at: float = 0.0
    awaited_until: float | None = None
    parts: deque[tuple[int, int, Rows]] = field(default_factory=deque)

    def joined(self, length: int, money: Balance, now: float) -> bool:
        """The stream tells everything from here on: the tape is so long now. Returns whether that is more than its reader knows."""
        self.live = True
        if self.base is None or length != self.head:
            self._begin(length, money, now)
        return (self.told or 0) < length

    def read(self, reports: Reports, now: float) -> None:
        """The venue itself has answered: whatever the stream had said up to there is in it."""
        cursor = self.told = int(reports.cursor or 0)
        if self.live and (self.base is None or cursor >= self.head):
            self._begin(cursor, reports.balance, now)
        self.asked_at, self.awaited_until = now, None

    def take(self, before: int, after: int, rows: Rows) -> None:
        """The stream says what is behind `before` up to `after`. What is there already is passed over; a gap ends all trust."""
        self.heard, self.awaited_until = max(self.heard, after), None
        if self.base is None or after <= self.head:
            return
        if before != self.head:
            self._doubt()
            return
        self.parts.append((before, after, rows))
        self.head = after
        currency = self.money.currency if self.money is not None else ""
        self.money = parse.balance_after(rows[-1], currency)

    def awaits(self, now: float) -> None:
        """Something has been done at the venue of which its stream must tell soon."""
        if self.awaited_until is None:
            self.awaited_until = now + AWAITED

    def lose(self) -> None:
        """The stream has ended: nothing is known until the venue has been asked and another one is joined."""
        self.live = False
        self._doubt()

    def after(self, cursor: str, now: float) -> Reports | None:
        """What is behind `cursor`, or None where the venue has to be asked."""
        at = int(cursor or 0)
        money = self.money
        if self.base is None or money is None or not self.base <= at <= self.head or now > self._trusted_until():
            return None
        while self.parts and self.parts[0][1] <= at:
            self.base = self.parts.popleft()[1]
        if self.parts and self.parts[0][0] != at:
            return None  # somebody stopped reading in the middle of a part
        rows = [row for _, _, part in self.parts for row in part]
        self.told = self.head
        return parse.reports(rows, money, self.head)

    def _begin(self, cursor: int, money: Balance, now: float) -> None:
        if cursor < self.heard:
            return  # the stream was faster than this answer: what lies between them is known to neither
        self.base = self.head = cursor
        self.money, self.asked_at = money, now
        self.parts.clear()

    def _doubt(self) -> None:
        self.base = None
        self.parts.clear()

    def _trusted_until(self) -> float:
        usually = self.asked_at + TRUSTED * (1 + zlib.crc32(self.ref.encode()) / 2**32)
        return usually if self.awaited_until is None else min(usually, self.awaited_until)
