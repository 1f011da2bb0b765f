"""What a simulation sees happen: the trace of its story, the moves that orders make, and what must never be."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from signalist.domain.orders import TRANSITIONS, OrderStatus, moved
from signalist.trading import transitions

Move = tuple[OrderStatus, OrderStatus]
LEGAL: tuple[Move, ...] = tuple(
    (current, to) for current in OrderStatus for to in OrderStatus if to in TRANSITIONS[current]
)
"""Every move that the table of transitions allows."""


class Violated(Exception):
    """An invariant that does not hold: which one, and with which numbers."""

    def __init__(self, invariant: str, numbers: str) -> None:
        super().__init__(f"{invariant}: {numbers}")
        self.invariant, self.numbers = invariant, numbers


class Trace:
    """What happened in a story, step by step, in words that are the same on every database."""

    def __init__(self) -> None:
        self.step = 0
        self.lines: list[str] = []
        self._digest = hashlib.sha256()
        self._said: list[str] = []

    def begin(self, now: datetime, what: str) -> None:
        """The next step begins."""
        self.close()
        self.step += 1
        self.lines.append(f"{self.step:4} {now:%H:%M:%S} {what}")
        self._said.append(self.lines[-1])

    def say(self, what: str) -> None:
        """Something happened within the step."""
        self.lines.append(f"     {what}")
        self._said.append(what)

    def close(self) -> None:
        """End the step. Within one, the order in which things are heard of is the database's own."""
        self._digest.update("\n".join(sorted(self._said)).encode())
        self._said = []

    def digest(self) -> str:
        """SHA-256 over all steps."""
        self.close()
        return self._digest.hexdigest()


@contextmanager
def counted_moves(moves: Counter[Move]) -> Iterator[None]:
    """Count every move of an order's status, at the one place that all of them pass."""

    def counting(current: OrderStatus, to: OrderStatus) -> OrderStatus:
        after = moved(current, to)
        if to is not current:
            moves[current, to] += 1
        return after

    before = getattr(transitions, "moved")  # noqa: B009 what is put in its place is a function of the same form
    setattr(transitions, "moved", counting)  # noqa: B010 as above
    try:
        yield
    finally:
        setattr(transitions, "moved", before)  # noqa: B010 as above
