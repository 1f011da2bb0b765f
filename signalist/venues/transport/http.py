"""Requests to one venue over HTTP: admitted by the ledger, stopped by the breaker, in time or not at all, over warm connections.

What comes back is the venue's own answer, whatever it says, or a `VenueError` that tells what may be done next. The table, from the
request's point of view:

    not admitted, breaker open, past its deadline, no connection   NotSent   certainly not carried out
    429, 418                                                       Busy      refused unseen; the ledger keeps everybody back
    time-out, connection lost, 5xx, empty or malformed answer      NoAnswer  may have been carried out
    anything else                                                  Answer    for the adapter to read

An answer that only says that a question failed is never taken for "there is nothing".
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import aiohttp
from yarl import URL

from signalist.clock import monotonic
from signalist.venues.errors import Busy, NoAnswer, NotSent
from signalist.venues.transport import fence, refusals
from signalist.venues.transport.breaker import Breaker, BreakerTerms
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.hurry import as_it_is
from signalist.venues.transport.lanes import Lanes
from signalist.venues.transport.ledger import Draw, RateLedger
from signalist.venues.transport.nonces import NonceSource
from signalist.venues.transport.punctual import Punctual, TooLate, Writing, writing

ALL_TOGETHER = 4
"""A venue counts as silent after so many times the failures in a row that silence a credential: one that hangs is not the venue."""
KEPT_FREE = 0.2
"""Of the connections, for what protects."""
USUAL_BREAKER = BreakerTerms()
MOST_ADDRESSES = 200
"""Kept ready; what is asked with parameters has one for each."""
LONGEST_ANSWER = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `target` is the path with its query as it is signed, byte for byte; `draws` what it costs.

    `deadline` is a monotonic moment: past it no byte is written. `who` names the credential for its breaker, None for public data.
    Where the venue wants a nonce, `nonces` is the session's source and `sign` makes body and headers of one: once the request is
    admitted, so that none waits at the ledger with the turn of its credential in its hands.
    """

    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = Priority.READ
    draws: Sequence[Draw] = ()
    within: float = 10.0
    deadline: float | None = None
    who: Hashable | None = None
    nonces: NonceSource | None = None
    sign: Callable[[int], tuple[bytes, Mapping[str, str]]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the venue said: any status below 500 but 418 and 429. `said` is the JSON, `took` seconds from the first byte written."""

    status: int
    said: Any
    headers: Mapping[str, str]
    took: float


class Http:
    """The connections to one venue at `base`. `size` bounds them all, which bounds how many requests are under way.

    `breaker` is for each credential, `together` for the venue as a whole (by default it bears `ALL_TOGETHER` times the failures).
    `parse` reads a body; it raises ValueError for what is malformed. `ledger` may be shared by several venues.
    """

    def __init__(
        self,
        base: str,
        ledger: RateLedger,
        *,
        size: int = 200,
        keep_alive: float = 45.0,
        breaker: BreakerTerms = USUAL_BREAKER,
        together: BreakerTerms | None = None,
        context: ssl.SSLContext | None = None,
        parse: Callable[[bytes], Any] = json.loads,
    ) -> None:
        self.base, self.ledger = URL(base), ledger
        self._size, self._keep_alive, self._context, self._parse = size, keep_alive, context, parse
        self._terms = breaker
        self._all_together = together or replace(breaker, failures=breaker.failures * ALL_TOGETHER)
        self._breakers: dict[Hashable | None, Breaker] = {}
        self._session: aiohttp.ClientSession | None = None
        self._addresses: dict[str, URL] = {}
        self._lanes = Lanes(size - int(size * KEPT_FREE))

    async def send(self, call: Call) -> Answer:
        """Send it once. Raises NotSent, Busy or NoAnswer."""
        fence.check()
        fence.keeping()
        if (priority := as_it_is(call.priority)) is not call.priority:
            call = replace(call, priority=priority)
        breakers = self._closed_breakers(call)
        await self._admitted(call)
        try:
            answer = await self._in_turn(call)
        except NotSent as error:
            self.ledger.give_back(call.draws)
            if error.silent:
                _all(breakers, lambda breaker: breaker.failed(monotonic()))
            raise
        except NoAnswer:
            _all(breakers, lambda breaker: breaker.failed(monotonic()))
            raise
        except Busy:
            _all(breakers, Breaker.answered)
            raise
        _all(breakers, Breaker.answered)
        return answer

    async def warm(self, target: str, connections: int) -> int:
        """Open connections before they are needed: as many requests at once to a public `target`. Returns how many were answered."""
        calls = (Call("GET", target) for _ in range(min(connections, self._size)))
        answers = await asyncio.gather(*(self._sent(call) for call in calls), return_exceptions=True)
        return sum(isinstance(answer, Answer) for answer in answers)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def state(self, who: Hashable | None = None) -> Breaker:
        """The breaker of the venue (None) or of a credential."""
        if who not in self._breakers:
            self._breakers[who] = Breaker(self._all_together if who is None else self._terms)
        return self._breakers[who]

    # --- Before the bytes ------------------------------------------------------------------------

    def _closed_breakers(self, call: Call) -> list[Breaker]:
        now = monotonic()
        breakers = [self.state(None)] if call.who is None else [self.state(None), self.state(call.who)]
        waits = max(breaker.wait(now) for breaker in breakers)
        if waits > 0:
            raise NotSent(f"The venue has not answered lately; the next try is in {waits:.1f} s.", after=waits)
        _all(breakers, lambda breaker: breaker.try_it(now, call.within + 1.0))
        return breakers

    async def _admitted(self, call: Call) -> None:
        """Wait for its turn, as long as there is a use in it."""
        left = _left(call)
        closed = self.ledger.opens_in(call.draws)
        if closed > max(left, 0.0):
            raise NotSent(f"The venue wants no requests for {closed:.1f} s more.", after=closed)
        try:
            if left <= 0:
                raise TimeoutError
            if self.ledger.admit_now(call.draws, call.priority):
                return
            await asyncio.wait_for(self.ledger.admit(call.draws, call.priority), left)
        except TimeoutError:
            raise NotSent("Its turn under the venue's rate limits did not come in time.") from None

    async def _in_turn(self, call: Call) -> Answer:
        """Send it when a connection may be had for it, with the nonce that it wants."""
        if call.sign is None and self._lanes.take_now(call.priority):
            return await self._sent_in_its_lane(call)
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(_left(call)):
                    if call.nonces is not None and call.sign is not None:
                        nonce = await held.enter_async_context(call.nonces.turn(call.priority))
                        body, headers = call.sign(nonce)
                        call = replace(call, body=body, headers=headers)
                    await self._lanes.take(call.priority)
            except TimeoutError:
                raise NotSent("Its time or deadline passed while requests before it were under way.") from None
            return await self._sent_in_its_lane(call)

    async def _sent_in_its_lane(self, call: Call) -> Answer:
        try:
            return await self._sent(call)
        finally:
            self._lanes.give_back(call.priority)

    # --- The bytes -------------------------------------------------------------------------------

    async def _sent(self, call: Call) -> Answer:
        wrote = Writing(call.deadline)
        writing.set(wrote)
        try:
            async with self._opened().request(
                call.method,
                self._address(call.target),
                data=call.body or None,
                headers=call.headers,
                timeout=_within(call.within),
                allow_redirects=False,
            ) as response:
                fence.answered(response.status)
                body = await _whole(response)
                return self._read(call, response, body, monotonic() - (wrote.at or monotonic()))
        except TooLate:
            fence.check()
            raise NotSent("Its deadline had passed before it could be sent.") from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerFingerprintMismatch) as error:
            raise NotSent(f"There is no connection to the venue ({type(error).__name__}).", silent=True) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if wrote.at is None:
                raise NotSent(
                    f"No connection became free or could be made ({type(error).__name__}).", silent=True
                ) from None
            raise NoAnswer(f"The venue's answer was lost ({type(error).__name__}).") from None

    def _read(self, call: Call, response: aiohttp.ClientResponse, body: bytes, took: float) -> Answer:
        if response.status in refusals.TOO_MANY:
            after = refusals.rest(response.status, response.headers.get("Retry-After"))
            for key in refusals.concerned(response.status, call.who, [draw.key for draw in call.draws]):
                self.ledger.close(key, after)
            raise Busy(
                f"The venue wants fewer requests (status {response.status}); the next in {after:g} s.", after=after
            )
        if response.status >= 500:
            raise NoAnswer(f"The venue failed with status {response.status}.")
        if not body.strip():
            raise NoAnswer(f"The venue's answer was empty (status {response.status}).")
        try:
            said = self._parse(body)
        except ValueError:
            raise NoAnswer(f"The venue's answer was malformed (status {response.status}).") from None
        return Answer(response.status, said, response.headers, took)

    def _address(self, target: str) -> URL:
        """As it is signed, byte for byte."""
        url = self._addresses.get(target)
        if url is None:
            url = URL(str(self.base).rstrip("/") + target, encoded=True)
            if len(self._addresses) < MOST_ADDRESSES:
                self._addresses[target] = url
        return url

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=Punctual(
                    limit=self._size,
                    keepalive_timeout=self._keep_alive,
                    ttl_dns_cache=300,
                    ssl=self._context if self._context is not None else True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
            # Nothing of ours is sent twice. It would repeat a GET, PUT or DELETE on a connection that the venue had just closed.
            self._session._retry_connection = False
        return self._session


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body, if it has a sensible length."""
    parts, length = [], 0
    async for part in response.content.iter_any():
        length += len(part)
        if length > LONGEST_ANSWER:
            response.close()
            raise NoAnswer(f"The venue's answer is longer than {LONGEST_ANSWER} bytes.")
        parts.append(part)
    return b"".join(parts)


@lru_cache(64)
def _within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


def _left(call: Call) -> float:
    """Seconds for which there is a use in waiting."""
    return call.within if call.deadline is None else min(call.within, call.deadline - monotonic())


def _all(breakers: Sequence[Breaker], do: Callable[[Breaker], Any]) -> None:
    for breaker in breakers:
        do(breaker)
