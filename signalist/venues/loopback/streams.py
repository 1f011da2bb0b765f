"""The loopback venue's side of its streams: what is written on the tapes goes out in one chunk for each turn of the loop."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from signalist.venues.errors import VenueError
from signalist.venues.loopback.faults import Faults
from signalist.venues.loopback.house import Holder, tape_row
from signalist.venues.loopback.protocol import BEAT_EVERY, JOIN
from signalist.venues.loopback.wire import Request, Wire

SHUFFLED = 0.3
"""Seconds by which a stream that is shuffled says things late."""

Signed = Callable[[str, str, str, str, bytes], Holder]


@dataclass(eq=False, slots=True)
class _Stream:
    name: str
    wire: Wire
    refs: set[str] = field(default_factory=set)
    lines: list[bytes] = field(default_factory=list)


class Streams:
    """All that are open."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._streams: dict[str, _Stream] = {}
        self._of: dict[str, list[_Stream]] = {}
        self._flushing = False

    def open(self, request: Request) -> None:
        """Begin a stream; its first line names it."""
        stream = _Stream(secrets.token_hex(8), request.wire)
        self._streams[stream.name] = stream
        request.wire.on_end = lambda: self._end(stream)
        request.begin()
        request.wire.write_chunk(json.dumps({"stream": stream.name}).encode() + b"\n")

    def join(self, said: dict[str, Any], signed: Signed) -> dict[str, Any]:
        """Add accounts to a stream: {"stream", "accounts": [[ref, nonce, sign], …]}; the signature is over the stream's name.

        Returns, by account, how long its tape is and its balance; accounts that are not let in are missing.
        """
        stream = self._streams.get(str(said["stream"]))
        joined: dict[str, Any] = {}
        if stream is None:
            return {"joined": joined}
        for ref, nonce, sign in said["accounts"]:
            try:
                holder = signed(ref, nonce, sign, JOIN, stream.name.encode())
            except VenueError:
                continue
            if ref not in stream.refs:
                stream.refs.add(ref)
                self._of.setdefault(ref, []).append(stream)
            joined[ref] = [len(holder.tape), holder.balance()]
        return {"joined": joined}

    def tell(self, holder: Holder, before: int) -> None:
        """An account's tape has grown."""
        streams: Sequence[_Stream] = self._of.get(holder.ref, ())
        if not streams or self._faults.stream(holder.ref, "mute"):
            return
        rows = [tape_row(row) for row in holder.tape[before:]]
        told = {"ref": holder.ref, "from": before, "to": len(holder.tape), "rows": rows}
        line = json.dumps(told, separators=(",", ":")).encode() + b"\n"
        every_other = len(holder.tape) % 2 == 1
        if every_other and self._faults.stream(holder.ref, "gaps"):
            return
        if every_other and self._faults.stream(holder.ref, "shuffled"):
            asyncio.get_running_loop().call_later(SHUFFLED, self._say, holder.ref, line)
            return
        self._say(holder.ref, line)

    def _say(self, ref: str, line: bytes) -> None:
        for stream in self._of.get(ref, ()):
            stream.lines += [line, line] if self._faults.stream(ref, "twice") else [line]
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def beat(self) -> None:
        """Show on every stream, for ever, that the venue lives."""
        while True:
            for stream in self._streams.values():
                stream.wire.write_chunk(b"\n")
            await asyncio.sleep(BEAT_EVERY)

    def _flush(self) -> None:
        self._flushing = False
        for stream in self._streams.values():
            if stream.lines:
                stream.wire.write_chunk(b"".join(stream.lines))
                stream.lines = []

    def _end(self, stream: _Stream) -> None:
        self._streams.pop(stream.name, None)
        for ref in stream.refs:
            self._of[ref].remove(stream)
