"""Opens accounts at their venues. Only place, reconcile and streams may come here, inside the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from django.conf import settings

from signalist.venues.base import Capabilities, Session, Venue
from signalist.venues.errors import BadCredential


class OpensAs(Protocol):
    """What of an account is needed to open it."""

    @property
    def venue(self) -> str: ...

    @property
    def venue_ref(self) -> str: ...


class Sessions:
    """The venues at hand and the accounts opened at them; an account is opened once and kept."""

    def __init__(self, venues: Mapping[str, Venue], paper: frozenset[str] = frozenset({"paper"})) -> None:
        self._venues = dict(venues)
        self._paper = paper
        self._open: dict[tuple[str, str], Session] = {}
        self.dropped: set[tuple[str, str]] = set()
        """Accounts (venue, ref) whose session was lost since somebody last looked here and emptied it."""

    def capabilities(self, venue: str) -> Capabilities:
        """What the venue can do. Raises BadCredential where it is not served."""
        return self._venue(venue).capabilities

    def of(self, account: OpensAs) -> Session:
        """The account's session. Raises BadCredential for a venue that is not served or not allowed."""
        key = (account.venue, account.venue_ref)
        if key not in self._open:
            if account.venue not in self._paper and not settings.LIVE_ACCOUNTS_ALLOWED:
                raise BadCredential("Live accounts are refused; this installation trades on paper only.")
            self._open[key] = self._venue(account.venue).open(account.venue_ref)
        return self._open[key]

    def drop(self, account: OpensAs) -> None:
        """Forget the account's session, which its venue has ended; the next use opens it anew."""
        self._open.pop((account.venue, account.venue_ref), None)
        self.dropped.add((account.venue, account.venue_ref))

    def _venue(self, code: str) -> Venue:
        venue = self._venues.get(code)
        if venue is None:
            raise BadCredential(f"This installation does not serve the venue {code!r}.")
        return venue
