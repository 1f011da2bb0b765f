"""How the venue of an account answers, as the engine that talks to it remembers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from signalist.logs import plain_words
from signalist.venues.errors import BadCredential, NotOpened, VenueError


@dataclass(frozen=True, slots=True)
class Beat:
    """How an account's venue answers: whether it does and since when, when it last did, how often not since then, and why not."""

    since: datetime
    is_up: bool = True
    seen_at: datetime | None = None
    failures: int = 0
    why: str = ""
    interruptions: int = 0

    def after(self, now: datetime, why: str | None) -> Beat:
        """The same once the venue has answered, or not and `why` not."""
        since = self.since if self.is_up == (why is None) else now
        if why is None:
            return replace(self, since=since, is_up=True, seen_at=now, failures=0, why="")
        return replace(self, since=since, is_up=False, failures=self.failures + 1, why=why)


def told(error: Exception) -> str:
    """Why an account's venue could not be asked, as a sentence for whoever owns the account."""
    words = plain_words(str(error))
    if isinstance(error, NotOpened):
        return words
    if isinstance(error, BadCredential):
        return f"The venue refuses the key: {words}"
    if isinstance(error, TimeoutError):
        return "The venue did not answer in time."
    if isinstance(error, VenueError):
        return f"The venue could not be asked: {words or error.code}"
    return "The venue's answer could not be read. It is on record."
