"""Signed requests to the loopback venue over the house's transport."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from signalist.clock import Clock
from signalist.venues.loopback import parse
from signalist.venues.loopback.protocol import TIME, signature
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.http import Call, Http
from signalist.venues.transport.ledger import Draw, RateLedger


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
    """The way to one loopback venue, shared by all its sessions. `size` bounds the connections."""

    def __init__(self, base: str, clock: Clock, *, size: int = 1000) -> None:
        self.base, self.clock, self.size = base, clock, size
        self.http = Http(base, RateLedger(), size=size)
        self.numbers = Numbers(clock)

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
        draws = (Draw((self.base, signer.ref)),)
        call = Call("POST", path, body, headers, priority, draws, within, deadline, signer.ref)
        answer = await self.http.send(call)
        if answer.status >= 300:
            raise parse.error(answer.said)
        return answer.said

    async def warm(self) -> int:
        """Open all connections before they are needed; returns how many."""
        return await self.http.warm(TIME, self.size)

    async def close(self) -> None:
        """Close all connections."""
        await self.http.close()
