"""The shortest correct way from a message to the bytes of a socket.

A push is the same bytes for every socket of a group. Under Daphne it is framed once and handed to the connections themselves: through
ASGI's `send`, each socket would be a task, a dictionary and a framing of its own. Other servers get their `send`.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import daphne.server  # noqa: F401 first: it chooses the reactor that all of Twisted gets
from autobahn.websocket.protocol import PreparedMessage
from daphne.ws_protocol import WebSocketProtocol

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Frame:
    """A text message, encoded and framed once however many sockets it goes to."""

    __slots__ = ("prepared", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.prepared = PreparedMessage(text.encode(), isBinary=False, applyMask=False, doNotCompress=True)


class Wire(Protocol):
    """One socket's way out. Nothing here waits."""

    def waiting(self) -> bool:
        """Whether bytes of earlier messages have not left yet, because the reader is slow."""
        ...

    def write(self, frame: Frame) -> None:
        """Send, or let it wait behind what is waiting; nothing happens on a socket that is closed."""
        ...


class DaphneWire:
    """A connection of Daphne. What the kernel takes at once costs one call; the rest waits in the connection's own buffer."""

    __slots__ = ("_protocol", "_tcp")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        # Under TLS the transport wraps another one, whose buffer is the one that fills.
        self._tcp = getattr(protocol.transport, "transport", protocol.transport)

    def waiting(self) -> bool:
        # Twisted keeps what waits in two places: what the kernel refused, and what was written since.
        return bool(self._tcp._tempDataLen or self._tcp.dataBuffer)

    def write(self, frame: Frame) -> None:
        protocol, tcp = self._protocol, self._tcp
        if protocol.state != WebSocketProtocol.STATE_OPEN:
            return
        if tcp is not protocol.transport or protocol.send_queue or self.waiting():
            protocol.sendPreparedMessage(frame.prepared)
            return
        octets = frame.prepared.payloadHybi
        taken = tcp.writeSomeData(octets)
        # On an error Twisted meets the same one when it writes, and closes the connection as it does.
        rest = octets[taken:] if isinstance(taken, int) else octets
        if rest:
            tcp.write(rest)


class ServerWire:
    """Any other ASGI server: its `send` waits for room, so a task does the waiting."""

    __slots__ = ("_queue", "_send", "_task")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queue: deque[Frame] = deque()
        self._task: asyncio.Task[None] | None = None

    def waiting(self) -> bool:
        return self._task is not None and not self._task.done()

    def write(self, frame: Frame) -> None:
        self._queue.append(frame)
        if not self.waiting():
            self._task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        while self._queue:
            await self._send({"type": "websocket.send", "text": self._queue.popleft().text})


def wire_of(send: Send) -> Wire:
    """The way out behind an ASGI `send`, as the server handed it over (not wrapped by any middleware)."""
    server_side = send.args[0] if isinstance(send, functools.partial) and send.args else None
    return DaphneWire(server_side) if isinstance(server_side, WebSocketProtocol) else ServerWire(send)
