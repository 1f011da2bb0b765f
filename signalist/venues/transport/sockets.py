"""WebSockets: one connection that notices silence, and one that is kept up.

What is kept up is tried again at the pace of `signalist.domain.backoff`, at once at first, then after 1, 2, 4 … 30 seconds; after ten
tries in a row it is given up and said to be so, until somebody restarts it. Who is silent for too long is pinged, and left if that does
not help. What is sent while there is no connection is not kept: whoever speaks says again what it wants after each opening.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import aiohttp

from signalist.clock import monotonic
from signalist.domain.backoff import TRIES, pause
from signalist.venues.errors import BadCredential, NotSent, SessionLost, VenueError
from signalist.venues.transport import fence

LONGEST_MESSAGE = 16 * 1024 * 1024
TOO_MANY = 429
LONGEST_POST = 32 * 1024
"""Characters of what is posted: less than a connection takes before it makes its writer wait."""


class Link(StrEnum):
    """The life of a connection that is kept up. WAITING: lost, and the next try is due. FAILED: given up; somebody must look."""

    CONNECTING = "connecting"
    UP = "up"
    WAITING = "waiting"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """Seconds. `silence`: nothing came for so long, so a ping is sent; `patience`: nor then, so the connection is left. `settled`: up for
    so long, so the tries begin anew. `speak`: we have said nothing for so long, so a ping is sent, for a venue may leave who only listens.
    `pace` is what pauses are multiplied by."""

    pace: float = 1.0
    connect_within: float = 10.0
    silence: float = 10.0
    patience: float = 5.0
    settled: float = 10.0
    answer_within: float = 10.0
    speak: float = 30.0


USUAL = LinkTerms()


class NotUp(NotSent):
    """No connection takes it now, and none has got a byte of it that counts: another way is free."""

    code = "not_up"


class Barred(SessionLost):
    """The venue takes no connection from our address for `after` seconds: there were too many."""

    code = "barred"

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


BARRED_FOR = 600.0
"""Seconds, where a venue that has had too many connections does not say when it takes another."""


class Wire:
    """One connection that is up."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, terms: LinkTerms, ping: Callable[[], str]) -> None:
        self._ws, self._terms, self._ping = ws, terms, ping
        self._said_at = monotonic()

    async def send(self, text: str) -> None:
        """Send a message. Raises SessionLost."""
        self._said_at = monotonic()
        try:
            await self._ws.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise SessionLost(f"The stream broke ({type(error).__name__}).") from None

    async def post(self, text: str, deadline: float | None = None) -> None:
        """Send a message that must not leave late: before `deadline` (monotonic), inside the fence, all of it now, or never.

        What a connection does not take at once would lie in our buffer and leave when it moves again, whatever the fence says by then. So
        one that has a backlog gets nothing, and one that takes only a part is torn down: half a frame is carried out by nobody. Raises
        NotSent where its time is over, NotUp where this connection takes nothing; neither has left.
        """
        assert len(text) <= LONGEST_POST
        fence.keeping()
        if deadline is not None and monotonic() > deadline:
            raise NotSent("Its deadline had passed before it could be sent.")
        fence.check()
        transport = self._ws._writer.transport
        if transport is None or transport.is_closing() or _backlog(transport):
            raise NotUp("The stream takes nothing at the moment.")
        fence.leaving()
        self._said_at = monotonic()
        try:
            await self._ws.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise NotUp(f"The stream broke before it could be written ({type(error).__name__}).") from None
        if _backlog(transport) or transport.is_closing():
            transport.abort()
            raise NotUp("The stream took it not, or only a part of it, and was given up.")

    async def hear(self) -> str:
        """The next message. Raises SessionLost where the venue ended the connection, or has fallen silent."""
        if monotonic() > self._said_at + self._terms.speak:
            await self.send(self._ping())
        try:
            message = await self._ws.receive(self._terms.silence)
        except TimeoutError:
            await self.send(self._ping())
            try:
                message = await self._ws.receive(self._terms.patience)
            except TimeoutError:
                raise SessionLost("The stream fell silent, and did not answer a ping.") from None
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise SessionLost(f"The venue ended the stream (code {self._ws.close_code}).")
        return str(message.data)

    async def close(self) -> None:
        """Leave it."""
        await self._ws.close()


def _backlog(transport: asyncio.Transport) -> int:
    """Bytes that we have written and the system has not taken. Under TLS there is a second buffer, which only its inside tells of."""
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return transport.get_write_buffer_size() + (0 if below is None else int(below.get_write_buffer_size()))


@asynccontextmanager
async def connected(url: str, terms: LinkTerms, ping: Callable[[], str]) -> AsyncIterator[Wire]:
    """A connection for as long as the block lasts; `ping` tells what a silent venue is sent. Raises SessionLost."""
    async with aiohttp.ClientSession() as session:
        try:
            opening = session.ws_connect(url, max_msg_size=LONGEST_MESSAGE)
            ws = await asyncio.wait_for(opening, terms.connect_within)
        except aiohttp.WSServerHandshakeError as error:
            if error.status == TOO_MANY:
                raise _barred(error) from None
            raise SessionLost(f"The stream could not be opened (status {error.status}).") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SessionLost(f"The stream could not be opened ({type(error).__name__}).") from None
        try:
            yield Wire(ws, terms, ping)
        finally:
            await ws.close()


def _barred(error: aiohttp.WSServerHandshakeError) -> Barred:
    said = "" if error.headers is None else str(error.headers.get("Retry-After", ""))
    after = float(said) if said.isdecimal() else BARRED_FOR
    return Barred(f"The venue takes no more connections from here for {after:.0f} seconds; there were too many.", after)


class Speaker(Protocol):
    """What is behind a connection that is kept up."""

    async def opened(self, send: Callable[[str], Awaitable[None]]) -> None:
        """It is up: say what is wanted. Raises VenueError where that is not possible now."""
        ...

    def heard(self, text: str) -> None:
        """A message came. Raises VenueError, and whatever it breaks on: the connection is then opened anew."""
        ...

    def ping(self) -> str:
        """What is sent to a silent venue."""
        ...

    def lost(self) -> None:
        """It was up, and is no more."""
        ...

    def link(self, link: Link, why: str) -> None:
        """Its life has taken a turn."""
        ...


class KeptUp:
    """A connection to `url`, kept up from `start` to `close`. `who` is what its jitter is drawn from; `admit` lets each try go; `barred` is
    told where the venue takes none for so many seconds."""

    def __init__(
        self,
        url: str,
        speaker: Speaker,
        terms: LinkTerms = USUAL,
        *,
        who: str = "",
        admit: Callable[[], Awaitable[None]] | None = None,
        barred: Callable[[float], None] | None = None,
    ) -> None:
        self._barred = barred
        self._url, self._speaker, self._terms, self._admit = url, speaker, terms, admit
        self._who = who
        self._task: asyncio.Task[None] | None = None
        self._wire: Wire | None = None
        self.link = Link.CLOSED
        self.losses = 0
        """How often it was up and was lost."""

    def start(self) -> None:
        """Begin, or begin anew after it was given up."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._live())

    async def send(self, text: str) -> None:
        """Send, where it is up. Raises NotSent where it is not, SessionLost where it breaks."""
        if self._wire is None:
            raise NotSent("The stream is not connected.", silent=True)
        await self._wire.send(text)

    async def post(self, text: str, deadline: float | None = None) -> None:
        """Send what must not leave late (`Wire.post`). Raises NotUp where there is no connection."""
        if self._wire is None:
            raise NotUp("The stream is not connected.", silent=True)
        await self._wire.post(text, deadline)

    async def close(self) -> None:
        """Have no connection any more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._turn(Link.CLOSED, "closed")

    async def _live(self) -> None:
        tried = 0
        while tried < TRIES:
            if tried or self.losses:
                await asyncio.sleep(pause(tried, self._who) * self._terms.pace)
            if self._admit is not None:
                await self._admit()
            self._turn(Link.CONNECTING, "")
            begun = monotonic()
            try:
                await self._once()
            except BadCredential as error:
                self._turn(Link.FAILED, f"the venue does not accept the key: {error}")
                return
            except VenueError as error:
                why = str(error)
                if isinstance(error, Barred) and self._barred is not None:
                    self._barred(error.after)
            except Exception as error:  # noqa: BLE001  # whatever a message breaks, the connection is opened anew, and never silent
                why = f"The stream said what is none of its protocol ({type(error).__name__})."
            # After a connection that lasted, the first try is made at once; who ends each at once is waited for.
            tried = 0 if monotonic() - begun >= self._terms.settled else tried + 1
            self._turn(Link.WAITING, why)
        self._turn(Link.FAILED, f"given up after {TRIES} tries")

    async def _once(self) -> None:
        """One connection, until it ends with an error."""
        async with connected(self._url, self._terms, self._speaker.ping) as wire:
            self._wire = wire
            speaking = asyncio.create_task(self._speaker.opened(wire.send))
            try:
                self._turn(Link.UP, "")
                while True:
                    self._speaker.heard(await wire.hear())
                    if speaking.done():
                        speaking.result()
            finally:
                self._wire = None
                self.losses += 1
                speaking.cancel()
                with contextlib.suppress(asyncio.CancelledError, VenueError):
                    await speaking
                self._speaker.lost()

    def _turn(self, link: Link, why: str) -> None:
        if link is not self.link or why:
            self.link = link
            self._speaker.link(link, why)
