"""What time it is at a venue, learnt from its answers: Cristian's algorithm over the quickest of the latest round trips.

An answer that names the venue's time was written at some moment between sending and receiving. The middle of the two is taken, and is
wrong by half the round trip at most, so the quickest round trip tells most (F. Cristian, Probabilistic clock synchronization, 1989).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

LATEST = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds: how far the venue's clock is ahead of ours, and how long the round trip took."""

    ahead: float
    round_trip: float


class VenueClock:
    """The offset of one venue's clock. All moments are seconds since the epoch by our wall clock, or by the venue's."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=LATEST)

    def heard(self, sent_at: float, received_at: float, venue_time: float, resolution: float = 0.0) -> None:
        """An answer named the venue's time, which is cut off to `resolution` seconds (1 for an HTTP Date).

        A round trip that took less than no time, because our own clock was set meanwhile, tells nothing.
        """
        round_trip = received_at - sent_at
        if round_trip < 0:
            return
        ahead = venue_time + resolution / 2 - (sent_at + received_at) / 2
        self._samples.append(Sample(ahead, round_trip + resolution))

    @property
    def ahead(self) -> float:
        """How far the venue's clock is ahead of ours; 0 before anything was heard."""
        return self._best.ahead if self._samples else 0.0

    @property
    def error(self) -> float | None:
        """By how much `ahead` may be wrong; None before anything was heard."""
        return self._best.round_trip / 2 if self._samples else None

    def time(self, ours: float) -> float:
        """The venue's time at our time."""
        return ours + self.ahead

    def stepped(self, seconds: float) -> None:
        """Our clock was set forward by so many seconds (back where negative): the venue is ahead by so much less."""
        moved = [Sample(sample.ahead - seconds, sample.round_trip) for sample in self._samples]
        self._samples = deque(moved, maxlen=LATEST)

    def forget(self) -> None:
        """Our clock was set, or the venue refused our time: begin anew."""
        self._samples.clear()

    @property
    def _best(self) -> Sample:
        return min(self._samples, key=lambda sample: sample.round_trip)
