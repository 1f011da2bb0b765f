"""What a venue means that wants fewer requests (429, 418): for how long, and from whom."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

BANNED = 418
TOO_MANY = (BANNED, 429)
LONGEST_REST, LONGEST_BAN = 3600.0, 3 * 86_400.0
"""Seconds that a Retry-After is believed: of too many requests, and of a ban of our address."""


def concerned(status: int, who: Hashable | None, keys: Sequence[Hashable]) -> Sequence[Hashable]:
    """Whom of `keys` it is about: the credential where the request has one, so that one that asks too much keeps nobody else back, and
    everybody who draws on the same where it has none, or where it is a ban of our address."""
    return [who] if status != BANNED and who in keys else keys


def rest(status: int, retry_after: str | None) -> float:
    """Retry-After in seconds (RFC 9110, 10.2.3); one that names a date, or none, means a second."""
    try:
        return min(max(float(retry_after or 1.0), 0.1), LONGEST_BAN if status == BANNED else LONGEST_REST)
    except ValueError:
        return 1.0
