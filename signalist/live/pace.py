"""How fast live updates go, in seconds; tests set their own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """A beat may be lost and the next one late before a connection counts as gone, which either side notices within ten seconds."""

    region: float = 0.5  # between two looks at one region
    poll: float = 0.1  # between two looks at the log on SQLite
    doubt: float = (
        1.0  # on PostgreSQL: between two looks that nothing asked for, and how long a rung bell is worth asking again
    )
    prices: float = 0.5  # between two looks at the newest prices
    quotes: float = 0.04  # between two messages of newest prices to a page, where PostgreSQL carries them past the rows
    turn: float = 1.0  # between two rounds of the caretaker
    beat: float = 3.0  # between two beats to each socket
    silent: float = 8.0  # without a word from a page, it is gone
    behind: float = 10.0  # a reader that takes nothing for so long is cut off
    check: float = 30.0  # between two looks at whether a socket's session and membership still stand
    stale: float = 5.0  # a log that cannot be read for so long is told to the pages
    again: float = 1.0  # before a task that failed is begun again; grows to five times as much
    retry: float = 5.0  # before a region that could not be rendered is tried again
