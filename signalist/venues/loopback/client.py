"""Signed requests to the loopback venue over the house's transport."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from signalist.clock import Clock, monotonic
from signalist.venues.loopback import parse
from signalist.venues.loopback.protocol import TIME, signature
from signalist.venues.loopback.wire import TIME_HEADER
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.clocks import VenueClock
from signalist.venues.transport.http import Answer, Call, Http
from signalist.venues.transport.ledger import Draw, RateLedger
from signalist.venues.transport.supplies import Supplies

STEP = 0.5
"""Seconds by which our clock must have moved against the monotonic one to count as set; less is drift, which new samples follow."""


@dataclass(frozen=True, slots=True)
class Signer:
    """An account's name and secret, as its session keeps them; never shown."""

    ref: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Signer({self.ref!r})"


class Numbers:
    """Nonces: microseconds of the wall clock, and above all that this process has taken for the account.

    They need no record: the venue takes them out of order and forgets what is old, so that a new process, whose clock has gone on,
    is above what the one before it used.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, int] = {}

    def take(self, ref: str) -> str:
        """The next one."""
        number = max(int(self._clock.now().timestamp() * 1_000_000), self._last.get(ref, 0) + 1)
        self._last[ref] = number
        return str(number)


def signed(signer: Signer, nonce: str, path: str, body: bytes) -> dict[str, str]:
    """The headers of a private request."""
    return {
        "API-Key": signer.ref,
        "API-Nonce": nonce,
        "API-Sign": signature(signer.secret, nonce, path, body),
        "Content-Type": "application/json",
    }


def written(said: Mapping[str, Any]) -> bytes:
    """A body as it is signed and sent."""
    return json.dumps(said, separators=(",", ":")).encode()


class Client:
    """The way to one loopback venue, shared by all its sessions. `size` bounds the connections; `clock` is that of deadlines, and of
    nonces where no other `numbers` are given. Of `supplies` it wants the ledger alone."""

    def __init__(
        self,
        base: str,
        clock: Clock,
        *,
        size: int = 1000,
        numbers: Numbers | None = None,
        supplies: Supplies | None = None,
    ) -> None:
        self.base, self.clock, self.size = base, clock, size
        self.http = Http(base, RateLedger() if supplies is None else supplies.ledger, size=size)
        self.numbers = numbers or Numbers(clock)
        self._venue_clock = VenueClock()
        self._epoch = self._since_epoch()

    async def ask(
        self,
        signer: Signer,
        path: str,
        said: Mapping[str, Any],
        *,
        priority: Priority = Priority.READ,
        within: float = 10.0,
        deadline: float | None = None,
    ) -> Any:
        """Ask for something in an account's name. Raises VenueError."""
        body = written(said)
        headers = signed(signer, self.numbers.take(signer.ref), path, body)
        # The venue counts by credential only: what it wants of one is no reason to keep the others back.
        draws = (Draw(signer.ref),)
        call = Call("POST", path, body, headers, priority, draws, within, deadline, signer.ref)
        answer = await self.http.send(call)
        self._heard_the_time(answer)
        if answer.status >= 300:
            raise parse.error(answer.said)
        return answer.said

    def venue_time(self, moment: datetime) -> datetime:
        """A moment of our clock as the venue's clock will show it."""
        self._notice_steps()
        return moment + timedelta(seconds=self._venue_clock.ahead)

    def our_time(self, moment: datetime) -> datetime:
        """A moment of the venue's clock as ours showed it."""
        self._notice_steps()
        return moment - timedelta(seconds=self._venue_clock.ahead)

    def _heard_the_time(self, answer: Answer) -> None:
        said = answer.headers.get(TIME_HEADER)
        if said is not None:
            self._notice_steps()
            now = self.clock.now().timestamp()
            self._venue_clock.heard(now - answer.took, now, float(said))

    def _notice_steps(self) -> None:
        """Whether our clock was set since the last look, which the monotonic one tells."""
        epoch = self._since_epoch()
        if abs(epoch - self._epoch) > STEP:
            self._venue_clock.stepped(epoch - self._epoch)
        self._epoch = epoch

    def _since_epoch(self) -> float:
        """When the monotonic clock began, by ours."""
        return self.clock.now().timestamp() - monotonic()

    async def warm(self) -> int:
        """Open all connections before they are needed; returns how many."""
        return await self.http.warm(TIME, self.size)

    async def close(self) -> None:
        """Close all connections."""
        await self.http.close()
