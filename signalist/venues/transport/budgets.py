"""How many requests a venue takes, as token buckets: pure arithmetic over moments that the caller names.

A bucket fills evenly up to its size; a request takes its weight out. What matters more may empty it; what matters less leaves a
reserve behind, so that reads never stand in the way of a stop. Moments are monotonic seconds, weights the venue's own units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from math import inf


class Priority(IntEnum):
    """What a request is for; a lower number goes first."""

    PROTECTION = 0
    """Cancels, exits, stops and targets."""
    ENTRY = 1
    READ = 2


@dataclass(frozen=True, slots=True)
class Budget:
    """What a venue allows: `size` at once, `per_second` in the long run. `entry_reserve` and `read_reserve` are the fractions of the
    size that entries and reads leave for what matters more."""

    size: float
    per_second: float
    entry_reserve: float = 0.1
    read_reserve: float = 0.4

    def __post_init__(self) -> None:
        if self.size <= 0 or self.per_second <= 0:
            raise ValueError("A budget is above zero.")
        if not 0 <= self.entry_reserve <= self.read_reserve < 1:
            raise ValueError("Reserves are fractions below one, and reads leave no less than entries.")

    def reserve(self, priority: Priority) -> float:
        """What a request of this priority leaves in the bucket."""
        fractions = {Priority.PROTECTION: 0.0, Priority.ENTRY: self.entry_reserve, Priority.READ: self.read_reserve}
        return self.size * fractions[priority]

    def part(self, among: int) -> Budget:
        """An equal part of it, one of `among`: what is left of an address's budget where so many share it."""
        return replace(self, size=self.size / among, per_second=self.per_second / among)

    def last_delay(self, requests: int, weight: float = 1.0, priority: Priority = Priority.ENTRY) -> float:
        """Seconds that the last of `requests` waits when all come at once to a full bucket."""
        missing = requests * weight + self.reserve(priority) - self.size
        return max(missing, 0.0) / self.per_second


class Bucket:
    """One bucket. `level` may be below zero: the venue has said that more was used than we knew of. While it is `shut` nothing goes."""

    __slots__ = ("_at", "_closed_until", "_level", "budget", "shut")

    def __init__(self, budget: Budget, now: float) -> None:
        self.budget, self.shut = budget, False
        self._level, self._at, self._closed_until = budget.size, now, now

    def level(self, now: float) -> float:
        """What is in it."""
        return min(self.budget.size, self._level + max(now - self._at, 0.0) * self.budget.per_second)

    def ready_at(self, weight: float, priority: Priority, now: float) -> float:
        """The first moment at which a request may go, if nothing else goes before: `now` or later.

        One that is heavier than the bucket goes when the bucket is full, rather than never.
        """
        if self.shut:
            return inf
        wanted = min(weight + self.budget.reserve(priority), self.budget.size)
        missing = wanted - self.level(now)
        # Rounding must not leave it waiting for the last billionth for ever.
        filled_at = now if missing <= 1e-9 else now + missing / self.budget.per_second
        return max(filled_at, self._closed_until)

    def take(self, weight: float, now: float) -> None:
        """A request goes."""
        self._level, self._at = self.level(now) - weight, now

    def give_back(self, weight: float, now: float) -> None:
        """It did not go after all."""
        self._level, self._at = min(self.level(now) + weight, self.budget.size), now

    def close(self, until: float) -> None:
        """The venue wants no request before `until`."""
        self._closed_until = max(self._closed_until, until)

    def share(self, budget: Budget | None, now: float) -> None:
        """From now on it holds this part of what it is shared with others, or nothing (None). What is in it never grows by that: the others
        may have used what was theirs, so a larger part fills up first, and one that begins with nothing begins empty."""
        level = min(self.level(now), 0.0) if self.shut else self.level(now)
        self.budget, self.shut = budget or self.budget, budget is None
        self._level, self._at = min(level, self.budget.size), now

    def used(self, amount: float, now: float) -> None:
        """The venue says how much it has counted. Only what is worse than we thought is believed: its answers are late."""
        self._level, self._at = min(self.level(now), self.budget.size - amount), now
