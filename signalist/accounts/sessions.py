"""Opens accounts at their venues. Only place, reconcile and streams may come here, inside the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from django.conf import settings

from signalist.accounts.beats import Beat
from signalist.clock import utc_now
from signalist.logs import logger
from signalist.venues.base import Capabilities, HasArrears, HasStream, Session, TellsReturns, Venue
from signalist.venues.errors import BadCredential, NotOpened

log = logger(__name__)

CLOSE_WITHIN = 5.0
"""Seconds that a venue has to say good-bye: keys and leases of other accounts wait for it."""


class OpensAs(Protocol):
    """What of an account is needed to open it."""

    @property
    def venue(self) -> str: ...

    @property
    def venue_ref(self) -> str: ...


class Sessions:
    """The venues at hand and the accounts opened at them; an account is opened once and kept until it is dropped or left."""

    def __init__(self, venues: Mapping[str, Venue], paper: frozenset[str] = frozenset({"paper"})) -> None:
        self._venues = dict(venues)
        self._paper = paper
        self._open: dict[tuple[str, str], Session] = {}
        self._wakes: dict[tuple[str, str], Callable[[], None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.doubted: set[tuple[str, str]] = set()
        """Accounts whose venue has refused their key since somebody last looked here and emptied it."""
        self._unheard: set[tuple[str, str]] = set()
        self._beats: dict[tuple[str, str], Beat] = {}
        self.interrupted: set[tuple[str, str]] = set()
        """Accounts (venue, ref) whose session was lost, whose stream was joined anew, or whose venue answers again after it did not, since
        somebody last looked here and emptied it: what was said meanwhile may not have been heard."""

    def capabilities(self, venue: str) -> Capabilities:
        """What the venue can do. Raises NotOpened where it is not served."""
        return self._venue(venue).capabilities

    def of(self, account: OpensAs) -> Session:
        """The account's session. Raises NotOpened for a venue that is not served or not allowed, or where we have no key, and what
        its venue raises when it opens one."""
        key = (account.venue, account.venue_ref)
        if key not in self._open:
            if account.venue not in self._paper and not settings.LIVE_ACCOUNTS_ALLOWED:
                raise NotOpened("Live accounts are refused; this installation trades on paper only.")
            self._open[key] = self._venue(account.venue).open(account.venue_ref)
            if key in self._wakes:
                self._listen(key, self._wakes[key])
        return self._open[key]

    def serves_several(self) -> bool:
        """Whether accounts are open at more than one venue."""
        return len({venue for venue, _ in self._open}) > 1

    def listen(self, account: OpensAs, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever the account's venue has something new to report, also after its session was opened anew."""
        self.of(account)
        key = (account.venue, account.venue_ref)
        self._wakes[key] = wake
        self._listen(key, wake)

    def rouse(self, account: OpensAs) -> None:
        """Have whoever listens to the account read its reports again: it can make more of them now."""
        wake = self._wakes.get((account.venue, account.venue_ref))
        if wake is not None:
            wake()

    def beat(self, account: OpensAs) -> Beat | None:
        """How its venue answers; None where it was not asked since the account was opened here."""
        key = (account.venue, account.venue_ref)
        beat, session = self._beats.get(key), self._open.get(key)
        if beat is None or not beat.is_up:
            return beat
        if isinstance(session, HasArrears) and session.arrears:
            return replace(beat, why=session.arrears)
        if isinstance(session, HasStream) and session.stream_problem:
            return replace(
                beat, why=f"Its stream was given up, and the venue is asked instead: {session.stream_problem}"
            )
        return beat

    def heard(self, account: OpensAs, *, well: bool, why: str = "") -> None:
        """The account's venue was asked, and has answered or not; `why` not."""
        key, now = (account.venue, account.venue_ref), utc_now()
        self._beats[key] = (self._beats.get(key) or Beat(now)).after(now, None if well else why)
        if not well:
            self._unheard.add(key)
        elif key in self._unheard:
            self._unheard.discard(key)
            self._interrupt(key)

    def drop(self, account: OpensAs) -> None:
        """Forget the account's session, which its venue has ended; the next use opens it anew, and listens where this one did."""
        session = self._open.pop((account.venue, account.venue_ref), None)
        self._interrupt((account.venue, account.venue_ref))
        if session is not None:
            closing = asyncio.get_running_loop().create_task(_close(account, session))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def doubt(self, account: OpensAs, error: Exception) -> None:
        """Note where a venue refuses a key: whether it does so for good is asked separately."""
        if isinstance(error, BadCredential):
            self.doubted.add((account.venue, account.venue_ref))

    async def leave(self, account: OpensAs) -> None:
        """Close the account's session and listen to it no more: somebody else talks to its venue now. What the venue makes of it, is its
        own affair: nothing is raised."""
        key = (account.venue, account.venue_ref)
        self._wakes.pop(key, None)
        self._unheard.discard(key)
        self._beats.pop(key, None)
        session = self._open.pop(key, None)
        if session is not None:
            await _close(account, session)

    def _listen(self, key: tuple[str, str], wake: Callable[[], None]) -> None:
        session = self._open[key]
        session.listen(wake)
        if isinstance(session, TellsReturns):
            session.returns(lambda: self._interrupt(key))

    def _interrupt(self, key: tuple[str, str]) -> None:
        self.interrupted.add(key)
        if (beat := self._beats.get(key)) is not None:
            self._beats[key] = replace(beat, interruptions=beat.interruptions + 1)

    def _venue(self, code: str) -> Venue:
        venue = self._venues.get(code)
        if venue is None:
            raise NotOpened(f"This installation does not serve the venue {code!r}.")
        return venue


async def _close(account: OpensAs, session: Session) -> None:
    """Close a session that nobody uses any more. Whatever comes of it is told and no more: who holds other accounts goes on."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN):
            await session.close()
    except Exception as error:  # noqa: BLE001 a venue's code and its libraries: anything
        log.warning("session_not_closed", venue=account.venue, account=account.venue_ref, error=repr(error))
