"""Orders over Kraken's private stream: one request, one answer, by number; under the same rules as what goes over HTTP.

It is the connection that tells of the account's orders, too: the token that it was joined with stays valid for as long as it is joined
(Kraken, "Authentication", WebSocket v2), and a new one is asked for with each connection, and once the venue does not know it any more.
Whether a request goes this way is decided before a byte is written. From the point of view of the request:

    its time is over, the fence is closed, no turn      NotSent     certainly not carried out
    the stream is not up, or takes nothing              NotUp       so, too: it may go over HTTP
    the token is not known any more                     StaleToken  refused unseen; the next goes over HTTP
    no answer in time, the stream broke, half answers   NoAnswer    may have been carried out
    anything else                                       by the table of refusals, as over HTTP
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from signalist.clock import monotonic
from signalist.venues.errors import Busy, NoAnswer, NotSent, SessionLost
from signalist.venues.kraken import protocol, stream_orders
from signalist.venues.kraken.client import Client, Signer
from signalist.venues.transport import fence
from signalist.venues.transport.breaker import Breaker
from signalist.venues.transport.budgets import Priority
from signalist.venues.transport.lanes import Lanes
from signalist.venues.transport.ledger import Draw
from signalist.venues.transport.sockets import NotUp

T = TypeVar("T")
LIVELY = 5.0
"""Seconds: a stream that has said nothing for so long, where it says something every second, gets no order."""
ROOM = 40
"""Requests other than those that protect that are under way at once."""
SHOWN = 1.0
"""Seconds for which the stream is waited for to show what it has taken, before the venue is asked."""
METHODS = frozenset({*stream_orders.METHODS.values(), stream_orders.ADD_MANY, stream_orders.CANCEL_MANY})


class StaleToken(Busy):
    """The stream does not know our token any more: nothing was looked at."""

    code = "stale_token"


class TradingSocket:
    """See the module. `post` writes to the stream at once or raises NotSent; `number` gives each request its own."""

    def __init__(
        self,
        client: Client,
        signer: Signer,
        post: Callable[[str, float | None], Awaitable[None]],
        number: Callable[[], int],
    ) -> None:
        self._client, self._signer, self._post, self._number = client, signer, post, number
        self.wanted = True
        """Whether orders go this way at all."""
        self._token: str | None = None
        self._joined, self._leaving = False, ""
        self._heard_at = float("-inf")
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._lanes, self._breaker = Lanes(ROOM), Breaker()
        self._news = asyncio.Event()

    # --- What the stream's life does ---------------------------------------------------------------

    def opening(self, token: str) -> None:
        """A connection is being joined with this token."""
        self._token, self._leaving = token, ""

    def joined(self) -> None:
        """It is joined."""
        self._joined = True

    def lost(self) -> None:
        """It is gone, and with it the answers that were awaited."""
        self._token, self._joined, self._leaving = None, False, ""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(NoAnswer("The stream broke while its answer was awaited."))
        self.told()

    def leave(self, why: str) -> None:
        """The stream has to be joined anew. Nothing more is asked of it, and what is under way is waited for: it need not be in doubt."""
        self._leaving = why

    def heard(self) -> None:
        """It has said something. Raises SessionLost where it has to be joined anew, and no answer is awaited any more."""
        self._heard_at = monotonic()
        if self._leaving and not self._waiting:
            raise SessionLost(self._leaving)

    def told(self) -> None:
        """It has told something of the account."""
        self._news.set()
        self._news = asyncio.Event()

    def answered(self, said: Mapping[str, Any]) -> bool:
        """An answer came; whether it was to one of these requests."""
        answer = self._waiting.get(int(said.get("req_id") or 0))
        if answer is not None and not answer.done():
            answer.set_result(said)
        return answer is not None or said["method"] in METHODS

    # --- Asking ------------------------------------------------------------------------------------

    def is_open(self) -> bool:
        """Whether a request may go this way now."""
        now = monotonic()
        is_up = self._joined and self._token is not None and not self._leaving
        return self.wanted and is_up and now < self._heard_at + LIVELY and self._breaker.wait(now) <= 0

    async def order(
        self,
        method: str,
        fields: Mapping[str, object],
        symbol: str,
        *,
        priority: Priority,
        within: float,
        deadline: float | None,
        draws: Sequence[Draw],
    ) -> Mapping[str, Any]:
        """What REST calls `method`: its fields, and its result. Raises VenueError; see the module."""
        said = await self.ask(
            stream_orders.METHODS[method],
            stream_orders.params(method, fields, symbol),
            priority=priority,
            within=within,
            deadline=deadline,
            draws=draws,
        )
        try:
            return stream_orders.result(method, said)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NoAnswer("The stream's answer to an order names none.") from None

    async def ask(
        self,
        method: str,
        params: Mapping[str, object],
        *,
        priority: Priority,
        within: float,
        deadline: float | None = None,
        draws: Sequence[Draw] = (),
    ) -> Mapping[str, Any]:
        """Ask once; the whole answer where it says success. Raises VenueError; see the module."""
        fence.check()
        fence.keeping()
        draws = (Draw(self._signer.key), *draws)
        ends = monotonic() + within if deadline is None else min(monotonic() + within, deadline)
        await self._admitted(draws, priority, ends)
        try:
            await self._in_lane(priority, ends)
            try:
                said = await self._asked(method, params, within, deadline)
            finally:
                self._lanes.give_back(priority)
        except NotSent:
            self._client.ledger.give_back(draws)
            raise
        return self._read(said, draws)

    async def shows(self, look: Callable[[], T | None], within: float = SHOWN) -> T | None:
        """What `look` finds as soon as the stream has told it; None where it does not in time, or is not up."""
        ends = monotonic() + within
        while (found := look()) is None and self._joined:
            try:
                async with asyncio.timeout(ends - monotonic()):
                    await self._news.wait()
            except TimeoutError:
                return look()
        return found

    # --- Within ------------------------------------------------------------------------------------

    async def _admitted(self, draws: Sequence[Draw], priority: Priority, ends: float) -> None:
        """Wait for its turn under the limits, as long as there is a use in it."""
        ledger, left = self._client.ledger, ends - monotonic()
        closed = ledger.opens_in(draws)
        if closed > max(left, 0.0):
            raise NotSent(f"The venue wants no requests for {closed:.1f} s more.", after=closed)
        try:
            if left <= 0:
                raise TimeoutError
            if not ledger.admit_now(draws, priority):
                await asyncio.wait_for(ledger.admit(draws, priority), left)
        except TimeoutError:
            raise NotSent("Its turn under the venue's rate limits did not come in time.") from None

    async def _in_lane(self, priority: Priority, ends: float) -> None:
        """Wait until not too much is under way."""
        try:
            async with asyncio.timeout(ends - monotonic()):
                await self._lanes.take(priority)
        except TimeoutError:
            raise NotSent("Its time or deadline passed while requests before it were under way.") from None

    async def _asked(
        self, method: str, params: Mapping[str, object], within: float, deadline: float | None
    ) -> Mapping[str, Any]:
        """Write it, and wait for its answer."""
        if not self.is_open() or self._token is None:
            raise NotUp("The stream is not joined any more.")
        self._breaker.try_it(monotonic(), within + 1.0)
        number, answer = self._number(), asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self._post(stream_orders.message(method, number, params, self._token), deadline)
            async with asyncio.timeout(within):
                said: Mapping[str, Any] = await answer
        except TimeoutError:
            self._breaker.failed(monotonic())
            raise NoAnswer("The stream did not answer in time.") from None
        except asyncio.CancelledError:
            self._breaker.failed(monotonic())  # who asked has waited for as long as an answer may take
            raise
        finally:
            self._waiting.pop(number, None)
        self._breaker.answered()
        return said

    def _read(self, said: Mapping[str, Any], draws: Sequence[Draw]) -> Mapping[str, Any]:
        """The answer. Raises the VenueError of its text where it refuses."""
        if said.get("success") is True:
            return said
        text = said.get("error")
        if said.get("success") is not False or not isinstance(text, str):
            raise NoAnswer("The stream's answer was none of its protocol.")
        error = protocol.error(text, self._client.clock.now().timestamp())
        if isinstance(error, SessionLost):
            self.leave("The stream does not know our token any more.")
            raise StaleToken(f"The stream does not know our token any more ({text[:100]}).")
        if isinstance(error, Busy):
            self._client.keep_still(text, error.after, self._signer, draws)
        raise error
