"""The histories of an account at Kraken, read to their end: pages of fifty rows, newest first, between two moments that stay.

A history may be longer than one look has time for, because each page counts (4 of 15 for fills, of which one comes back in three
seconds): what was read stays, and the next look goes on behind it. What is longer than `MOST` rows is read in parts, the oldest
first, so that whoever reads can take each in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from signalist.clock import monotonic
from signalist.venues.errors import Busy

PAGE = 50
MOST = 3_000
"""Rows of one history in a part; more than twice as many as its fills an account's tape does not hold."""
SHORTEST = timedelta(minutes=1)
"""A part is not made shorter than that, however much happened in it."""
LONGEST = timedelta(days=90)
"""How far back a history is read at all."""
SHARE = 0.8
"""Of the time for an answer, so much goes into pages: whoever waits is told how far it came."""


class StillReading(Busy):
    """A history is longer than one look has time for; the next one goes on behind what was read."""

    code = "still_reading"


class TooLong(Exception):
    """A part holds more rows than are taken in at once."""


class Ask(Protocol):
    """How a page is asked for."""

    def __call__(self, method: str, within: float, fields: Mapping[str, object]) -> Awaitable[Any]: ...


@dataclass(slots=True)
class Reading:
    """One history of a part, as far as it was read."""

    rows: dict[str, Any] = field(default_factory=dict)
    offset: int = 0
    is_done: bool = False


@dataclass(slots=True)
class Part:
    """What lies between two moments, and what was read of it by the method that tells it."""

    since: datetime
    until: datetime
    readings: dict[str, Reading] = field(default_factory=dict)


class Histories:
    """Of one account."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._part: Part | None = None

    def part(self, since: datetime, now: datetime) -> Part:
        """The part to read now: the one that was begun, where it lies there, else everything since then."""
        begun = self._part
        if begun is None or not begun.since <= since < begun.until <= now:
            begun = self._part = Part(since, now)
        return begun

    def narrow(self) -> None:
        """Half of the part is enough for once; it is begun anew."""
        assert self._part is not None
        since, until = self._part.since, self._part.until
        self._part = Part(since, since + max((until - since) / 2, SHORTEST))

    def finish(self) -> None:
        """The part was taken in."""
        self._part = None

    async def rows(
        self, part: Part, method: str, name: str, within: float, ends: float, more: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """All rows of a history in a part. Raises TooLong, and StillReading at the monotonic moment `ends`."""
        reading = part.readings.setdefault(method, Reading())
        fields = {"start": f"{part.since.timestamp():.6f}", "end": f"{part.until.timestamp():.6f}", **(more or {})}
        while not reading.is_done:
            said = await self._page(method, reading, within, ends, fields)
            found, count = said[name], int(said.get("count") or 0)
            if count > MOST and part.until - part.since > SHORTEST:
                raise TooLong
            reading.rows |= found
            reading.offset += len(found)
            reading.is_done = len(found) < PAGE
        return reading.rows

    async def _page(
        self, method: str, reading: Reading, within: float, ends: float, fields: Mapping[str, object]
    ) -> Any:
        """The next page. The first of all is waited for as long as the venue has for an answer."""
        if not reading.offset:
            return await self._ask(method, within, fields)
        try:
            async with asyncio.timeout(ends - monotonic()):
                return await self._ask(method, within, {**fields, "ofs": reading.offset})
        except TimeoutError:
            raise StillReading(f"Its history is long; {reading.offset} rows of {method} are read so far.") from None
