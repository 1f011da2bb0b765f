"""Stops asking who does not answer: a circuit breaker, pure over moments that the caller names.

Closed until `failures` requests in a row came to nothing; then open, and nobody asks for a pause that doubles from `pause` to
`longest_pause` seconds; then one request tries, and its fate closes or reopens. A venue that says no has answered.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """When it opens and for how long."""

    failures: int = 5
    pause: float = 0.5
    longest_pause: float = 30.0


class Breaker:
    """One breaker, for a venue or for a credential at it."""

    __slots__ = ("_failed", "_opened", "_trying_until", "_until", "terms")

    def __init__(self, terms: BreakerTerms = BreakerTerms()) -> None:
        self.terms = terms
        self._failed = self._opened = 0
        self._until = self._trying_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the last that was heard is silence."""
        return self._opened > 0

    def wait(self, now: float) -> float:
        """Seconds until somebody may ask again; 0 where one may now."""
        return max(self._until - now, self._trying_until - now, 0.0) if self._opened else 0.0

    def try_it(self, now: float, within: float) -> bool:
        """Whether a request may go now. While open, who may is the one that tries, and the others wait for its fate, at most
        `within` seconds: a try that nobody reports on must not keep the way closed."""
        if not self._opened:
            return True
        if self.wait(now) > 0:
            return False
        self._trying_until = now + within
        return True

    def answered(self) -> None:
        """There was an answer."""
        self._failed = self._opened = 0
        self._until = self._trying_until = 0.0

    def failed(self, now: float) -> None:
        """There was none."""
        self._failed += 1
        if not self._opened and self._failed < self.terms.failures:
            return
        # Requests that were under way when it opened say nothing new.
        if self._opened and now < self._until:
            return
        self._opened += 1
        self._trying_until = 0.0
        self._until = now + min(self.terms.pause * 2 ** min(self._opened - 1, 30), self.terms.longest_pause)
