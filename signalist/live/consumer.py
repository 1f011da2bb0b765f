"""The socket of a page, `/live/?regions=a,b&prices=1,2&after=<place>&tenant=<id>&client=<name>`: who may sit there, what it says, and
when it ends.

To the page go regions (HTML, one element each, found by its id) and words (JSON with `live`: hello, beat, reload). From the page come
words: `beat` in answer to each beat, `show` with the regions that are on the page and the instruments whose prices are, `hide` when nobody
looks at it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings

from signalist.clock import monotonic
from signalist.live import access
from signalist.live.hub import Hub, hub
from signalist.live.limits import Limits, limits
from signalist.live.quotes import MOST_EACH
from signalist.live.sockets import SESSION_OVER, Seat, Socket, user_group
from signalist.live.tail import place
from signalist.live.wire import Send, wire_of

Receive = Callable[[], Awaitable[dict[str, Any]]]
Scope = dict[str, Any]

MOST_REGIONS = 20
MOST_SOCKETS_EACH = 40
LONGEST_WORD = 4000


def with_wire(application: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Keep the server's own `send` before any middleware wraps it."""

    async def wired(scope: Scope, receive: Receive, send: Send) -> None:
        await application({**scope, "wire": wire_of(send)}, receive, send)

    return wired


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    """The socket, from its opening to its end."""
    await receive()  # the request to connect
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
    process = hub()
    seat, allowed = await _seat(scope, query.get("tenant"), process) if is_our_page(scope["headers"]) else (None, None)
    if seat is None or allowed is None or _is_full(process, seat, allowed):
        await send({"type": "websocket.close", "code": SESSION_OVER})
        return
    await send({"type": "websocket.accept"})
    process.quotes.most_each = allowed.prices
    socket = Socket(seat, scope["wire"], _names(query.get("regions", "").split(",")))
    process.sockets.add(socket)
    prices = _ids(query.get("prices", "").split(","))
    process.recorder.opened(socket, scope, query.get("client", ""), prices)
    sending = process.welcome(socket, place(query.get("after", "")), prices)
    talk: asyncio.Future[Any] = asyncio.create_task(_talk(receive, socket, process, sending))
    try:
        ending: set[asyncio.Future[Any]] = {talk, socket.closing}
        await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        if socket.closing.done():
            await send({"type": "websocket.close", "code": socket.closing.result()})
        else:
            talk.result()
    finally:
        process.leave(socket)
        process.recorder.ended(socket)
        talk.cancel()


def is_our_page(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether the page that opens the socket came from here: the same host and port, or an origin that settings trust.

    Cookies know no ports: another program on this machine would otherwise be as good as we are.
    """
    found = {name: value.decode("latin-1") for name, value in headers}
    origin = found.get(b"origin", "")
    _, _, address = origin.partition("://")
    return bool(address) and (address == found.get(b"host") or origin in settings.CSRF_TRUSTED_ORIGINS)


async def _seat(scope: Scope, tenant: str | None, process: Hub) -> tuple[Seat | None, Limits | None]:
    """Where the user may sit, and how many may."""
    user, session = scope["user"], scope["session"]
    if not user.is_authenticated or not user.is_active:
        return None, None

    def asked() -> tuple[Seat | None, Limits]:
        return access.seat_for(user.pk, session.session_key, session, tenant), limits()

    return await process.door.run(asked)


def _is_full(process: Hub, seat: Seat, allowed: Limits) -> bool:
    mine = len(process.sockets.of(user_group(seat.user_id)))
    each = MOST_SOCKETS_EACH if allowed.person is None else allowed.person
    return mine >= each or len(process.sockets) >= allowed.process


async def _talk(receive: Receive, socket: Socket, process: Hub, welcome: Coroutine[Any, Any, None]) -> None:
    """Listen to the page until it is gone; what it asks for is sent meanwhile."""
    sending = asyncio.create_task(welcome)
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            socket.heard_at = monotonic()
            said = _word(message.get("text") or "")
            if said.get("live") == "hide":
                socket.hide()
            elif said.get("live") == "show":
                sending.cancel()
                names, prices = _names(said.get("regions")), _ids(said.get("prices"))
                sending = asyncio.create_task(process.show(socket, names, prices))
                process.recorder.changed(socket, names, prices)
    finally:
        sending.cancel()


def _word(text: str) -> dict[str, Any]:
    """What the page says; nothing where it makes no sense."""
    if len(text) > LONGEST_WORD:
        return {}
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _names(found: Any) -> list[str]:
    return [name for name in found if isinstance(name, str)][:MOST_REGIONS] if isinstance(found, list) else []


def _ids(found: Any) -> list[int]:
    """Numbers of instruments, as the query or a word names them."""
    named = found if isinstance(found, list) else []
    return [int(name) for name in map(str, named[:MOST_EACH]) if name.isascii() and name.isdecimal() and len(name) < 12]
