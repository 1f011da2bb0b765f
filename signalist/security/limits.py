"""How many requests of a kind somebody may make in a window of time, and what they are told about it.

Windows are fixed and begin at multiples of their length, so a burst up to the whole limit is let through, and everybody can tell when
the next one begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from django.conf import settings

from signalist.clock import utc_now
from signalist.security.counters import add

CHUNK = 10
_NO_MORE = 1 << 62


@dataclass(frozen=True, slots=True)
class Limit:
    """`amount` requests in `seconds`."""

    amount: int
    seconds: int

    @classmethod
    def of(cls, tier: str) -> Limit:
        """The limit of a tier as the settings have it. Raises KeyError for a tier that they do not name."""
        amount, _, seconds = settings.RATE_LIMITS[tier].partition("/")
        return cls(int(amount), int(seconds))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one more is let through. `reset` is in so many seconds; `first`: the first that is refused in this window."""

    tier: str
    limit: Limit
    used: int
    reset: int
    first: bool = False

    @property
    def allowed(self) -> bool:
        return self.used <= self.limit.amount

    @property
    def remaining(self) -> int:
        return max(0, self.limit.amount - self.used)

    def headers(self) -> dict[str, str]:
        """The headers of the answer (IETF draft-ietf-httpapi-ratelimit-headers, version 3; RFC 9110, section 10.2.3)."""
        told = {
            "RateLimit-Limit": str(self.limit.amount),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.limit.amount};w={self.limit.seconds}",
        }
        return told if self.allowed else told | {"Retry-After": str(self.reset)}


def take(tier: str, who: str, limit: Limit | None = None) -> Verdict:
    """Count one request of `who` (`user:5`, `key:12`, `address:…`) and tell whether it is let through.

    `limit`: another than that of the tier, as an API key has. One statement; outside a transaction of the request, or two of one
    person's requests wait for each other.
    """
    limit = limit or Limit.of(tier)
    key, end, left = _window(tier, who, limit)
    used = add(key, 1, end)
    return Verdict(tier, limit, used, left, first=used == limit.amount + 1)


class Chunks:
    """Counts cheaply what comes often: a process takes so many at once from the shared count, and writes again when they are used up.

    Never lets more through than the limit; where several processes answer one person, up to a chunk each less.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: dict[str, tuple[int, int, int]] = {}  # key: (used, up to, end of the window)

    def take(self, tier: str, who: str) -> Verdict:
        """As `take`, with a statement for every tenth."""
        limit = Limit.of(tier)
        chunk = max(1, min(CHUNK, limit.amount // 10))
        key, end, left = _window(tier, who, limit)
        with self._lock:
            used, up_to, _ = self._taken.get(key, (0, 0, end))
            known = used < up_to
            if known:
                self._taken[key] = (used + 1, up_to, end)
        if known:
            return Verdict(tier, limit, used + 1, left)
        total = add(key, chunk, end)
        first = total - chunk + 1
        with self._lock:
            if len(self._taken) > 10_000:
                now = int(utc_now().timestamp())
                self._taken = {name: taken for name, taken in self._taken.items() if taken[2] > now}
            # Who is refused stays refused until the window ends; that costs no more statements.
            self._taken[key] = (first, min(total, limit.amount) if first <= limit.amount else _NO_MORE, end)
        return Verdict(tier, limit, first, left, first=limit.amount < first <= limit.amount + chunk)


def _window(tier: str, who: str, limit: Limit) -> tuple[str, int, int]:
    """The counter's key in the present window, the window's end in seconds since 1970, and how many seconds are left of it."""
    now = int(utc_now().timestamp())
    number = now // limit.seconds
    end = (number + 1) * limit.seconds
    return f"{tier}:{who}:{number}"[:120], end, end - now
