"""HTTP/1.1 as the loopback venue serves it: written by hand, so that the server is never what a benchmark measures.

Only what its clients send is understood: requests with a Content-Length, one after the other on a connection that stays open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
TIME_HEADER = "Venue-Time"
_END = b"\r\n\r\n"
LONGEST_HEAD = 64 * 1024


@dataclass(slots=True)
class Request:
    """A request that has arrived whole. Header names are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    wire: Wire

    def answer(self, status: int, said: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        self.answer_bytes(status, json.dumps(said, separators=(",", ":")).encode(), headers)

    def answer_bytes(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Answer with these bytes."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) if headers else ""
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n{more}"
        head += f"{TIME_HEADER}: {self.wire.time():.6f}\r\n"
        self.wire.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def begin(self) -> None:
        """Begin an answer that has no end; its parts follow by `Wire.write_chunk`."""
        self.wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")

    def drop(self) -> None:
        """Cut the connection."""
        self.wire.cut()


class Wire(asyncio.Protocol):
    """One connection. `time` is the venue's, in seconds since the epoch."""

    def __init__(self, handle: Callable[[Request], None], time: Callable[[], float]) -> None:
        self._handle, self.time = handle, time
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self.on_end: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.on_end is not None:
            self.on_end()

    @property
    def peer(self) -> str:
        """The address that the connection comes from; "" once it is gone."""
        found = None if self._transport is None else self._transport.get_extra_info("peername")
        return str(found[0]) if found else ""

    def data_received(self, data: bytes) -> None:
        self._came += data
        while True:
            end = self._came.find(_END)
            if end < 0:
                if len(self._came) > LONGEST_HEAD:
                    self.cut()
                return
            lines = self._came[:end].decode("latin-1").split("\r\n")
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._came) < whole:
                return
            body, self._came = self._came[end + 4 : whole], self._came[whole:]
            method, path, _ = lines[0].split(" ")
            self._handle(Request(method, path, headers, body, self))

    def write(self, data: bytes) -> None:
        """Write, if anybody is there to read."""
        if self._transport is not None:
            self._transport.write(data)

    def write_chunk(self, data: bytes) -> None:
        """Write a part of an answer that was begun."""
        self.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def cut(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()
