"""When a connection that was lost is tried again: at once but for a jitter, then after 1, 2, 4 … 30 seconds, each with a jitter.

The jitter is drawn from a hash of who asks and of the try, so that many that lost theirs together do not come back together, and the same
one does the same in a replay.
"""

from __future__ import annotations

import hashlib

LONGEST = 30.0
FIRST_WITHIN = 0.25
SPREAD = 0.1
TRIES = 10
"""After so many tries in a row a connection counts as failed, and whoever must know is told."""


def pause(attempt: int, who: str) -> float:
    """Seconds before try number `attempt` (0 is the first after the loss) of `who`."""
    drawn = int.from_bytes(hashlib.blake2b(f"{who}|{attempt}".encode(), digest_size=8).digest()) / 2**64
    if attempt <= 0:
        return FIRST_WITHIN * drawn
    return min(2.0 ** min(attempt - 1, 30), LONGEST) * (1 - SPREAD * drawn)
