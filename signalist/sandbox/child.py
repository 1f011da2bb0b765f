"""One run's process, seen from outside: ask it, with a deadline and limits on all that comes back, and have it killed."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from contextlib import suppress

import numpy as np

from signalist.clock import monotonic

from . import frames
from .frames import Frame
from .outcomes import Failed, FailureKind
from .warm import Zygote

_BOOT_SECONDS = 60.0
_CHUNK = 65_536
_MESSAGE_LENGTH = 600
_GOODBYE_SECONDS = 1.0
_KILL_SECONDS = 5.0
_CHANNEL_CLOSED = "The strategy closed the channel that its signals travel on."
# What a child may say of itself; anything else in a FAILED frame is a forged one.
_REPORTED = {
    FailureKind.SYNTAX, FailureKind.DECLARATION, FailureKind.FORBIDDEN, FailureKind.RAISED, FailureKind.BAD_OUTPUT, FailureKind.MEMORY,
}  # fmt: skip


class Refusal(Exception):
    """Ends an exchange from within with the outcome that it carries."""

    def __init__(self, kind: FailureKind, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.failed = Failed(kind, readable(message), line)


class Child:
    """A process that runs one strategy. Raises CannotStart when there is none to be had; not safe to use from two threads at once."""

    def __init__(self, zygote: Zygote, *, seconds: float, memory: int, output: int) -> None:
        self._output_limit = output
        self._number = 0
        self.printed = bytearray()
        self.never_began = False
        """Whether it was found out that the sandbox was gone before there was a process: the run may be tried again."""
        self._ends = zygote.run(memory, seconds)
        self._socket = self._ends.channel
        self._printer: int | None = self._ends.printer
        self._pid: int | None = None
        self._status: int | None = None
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._printer, select.POLLIN)

    @property
    def pid(self) -> int:
        """Its process id; 0 when the sandbox was gone before there was a process, an error's number below zero when there was no room."""
        if self._pid is None:
            self._pid = self._told(_BOOT_SECONDS)
        return self._pid or 0

    def has_ended(self) -> bool:
        """Whether it is gone, between two requests."""
        return self._unasked() == b""

    def speaks_unasked(self) -> bool:
        """Whether it has sent something that nobody asked for."""
        return bool(self._unasked())

    def ask(
        self,
        kind: Frame,
        body: list[bytes | memoryview],
        expected: Frame,
        size: int,
        seconds: float,
        *,
        setup: bytes = b"",
    ) -> memoryview | Failed:
        """Send one request and return the body of its reply, `expected` and of at most `size` bytes, within `seconds`.

        `setup` goes before it as a message of its own, which has no reply.
        """
        self._number = (self._number + 1) % 2**32
        header = frames.HEADER.pack(kind, self._number, sum(len(part) for part in body))
        first = [frames.HEADER.pack(Frame.SETUP, self._number, len(setup)), setup] if setup else []
        return self._exchange(frames.pieces([*first, header, *body]), expected, size, seconds)

    def kill(self) -> None:
        """End the child at once, wait until it is gone, and release what it held."""
        self._shut()
        self._ends.close()

    def leave(self) -> None:
        """Release a child that has answered; it is ended without waiting for that."""
        self._ends.close()

    def _exchange(
        self, request: list[bytes | memoryview], expected: Frame, size: int, seconds: float
    ) -> memoryview | Failed:
        deadline = monotonic() + seconds
        self.printed = bytearray()
        try:
            for piece in request:
                self._send(piece, deadline, seconds)
            kind, number, length = frames.HEADER.unpack(self._receive(frames.HEADER.size, deadline, seconds))
            if number != self._number or kind not in (expected, Frame.FAILED):
                raise Refusal(
                    FailureKind.BAD_OUTPUT, "The strategy's process sent a reply that does not belong to the request."
                )
            if length > (size if kind == expected else frames.TEXT_LIMIT):
                raise Refusal(
                    FailureKind.BAD_OUTPUT,
                    f"The strategy's process sent a reply of {length} bytes, more than there can be.",
                )
            body = self._receive(length, deadline, seconds)
            self._drain()
        except Refusal as refusal:
            return refusal.failed
        return _reported(body) if kind == Frame.FAILED else body

    def _send(self, piece: bytes | memoryview, deadline: float, seconds: float) -> None:
        left = memoryview(piece)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._poll.modify(self._socket, select.POLLIN | select.POLLOUT)
                self._wait(deadline, seconds)
                self._poll.modify(self._socket, select.POLLIN)
            except OSError:
                raise self._ended() from None

    def _receive(self, size: int, deadline: float, seconds: float) -> memoryview:
        # Not a bytearray, which would be filled with zeros first.
        view, filled = np.empty(size, dtype=np.uint8).data, 0
        while filled < size:
            try:
                count = self._socket.recv_into(view[filled:])
            except BlockingIOError:
                self._wait(deadline, seconds)
                continue
            except OSError:
                count = 0
            if count == 0:
                raise self._ended()
            filled += count
        return view

    def _wait(self, deadline: float, seconds: float) -> None:
        """Sleep until the socket can go on, keeping what the strategy prints from filling its pipe."""
        left = deadline - monotonic()
        ready = self._poll.poll(max(0.0, left) * 1000)
        if any(descriptor == self._printer for descriptor, _ in ready):
            self._drain()
        if left <= 0 and not any(descriptor != self._printer for descriptor, _ in ready):
            raise Refusal(FailureKind.TIMED_OUT, f"The strategy did not answer within {seconds:g} s.")

    def _drain(self) -> None:
        """Take what has been printed. Raises Refusal over the limit."""
        while self._printer is not None:
            try:
                chunk = os.read(self._printer, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self._poll.unregister(self._printer)
                self._printer = None
                return
            self.printed += chunk
            if len(self.printed) > self._output_limit:
                del self.printed[self._output_limit :]
                raise Refusal(
                    FailureKind.TOO_MUCH_OUTPUT, f"The strategy printed more than {self._output_limit} bytes."
                )

    def _unasked(self) -> bytes | None:
        """A byte that waits to be read though nothing was asked, b"" when the channel has ended, None when all is quiet."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _ended(self) -> Refusal:
        """Why the channel ended in the middle of an exchange."""
        if self._status is None and self.pid >= 0:
            self._status = self._told(_GOODBYE_SECONDS)
        self._drain()
        if self.pid < 0:
            return Refusal(FailureKind.DIED, f"No process could be had for the strategy ({os.strerror(-self.pid)}).")
        if self._status is None:
            lost = self._shut()
            if lost is None:
                self.never_began = self._pid is None
                return Refusal(FailureKind.DIED, "The sandbox ended while the strategy ran.")
            return Refusal(FailureKind.BAD_OUTPUT, _CHANNEL_CLOSED)
        status = self._status
        if status == frames.CHANNEL_LOST:
            return Refusal(FailureKind.BAD_OUTPUT, _CHANNEL_CLOSED)
        if status == -signal.SIGXCPU:
            return Refusal(FailureKind.TIMED_OUT, "The strategy used up its processor time.")
        how = f"on signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"with exit status {status}"
        return Refusal(FailureKind.DIED, f"The strategy's process ended {how}.")

    def _shut(self) -> int | None:
        """Have it killed, and wait until it is; returns its exit status, None when the sandbox itself is gone."""
        if self._status is None and self.pid > 0:
            with suppress(OSError):
                self._ends.status.shutdown(socket.SHUT_WR)
            self._status = self._told(_KILL_SECONDS)
        return self._status

    def _told(self, seconds: float) -> int | None:
        """The next number on the run's status within `seconds`; None when there is none."""
        self._ends.status.settimeout(seconds)
        try:
            said = self._ends.status.recv(frames.STATUS.size)
        except OSError:
            return None
        return int(frames.STATUS.unpack(said)[0]) if len(said) == frames.STATUS.size else None


def _reported(body: bytearray | memoryview) -> Failed:
    """The failure that a child reports of itself, checked field by field."""
    try:
        said = json.loads(bytes(body))
        kind, message, line = FailureKind(said["kind"]), said["message"], said["line"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Failed(FailureKind.BAD_OUTPUT, "The strategy's process sent a failure that cannot be read.")
    whole = line is None or (isinstance(line, int) and not isinstance(line, bool) and 0 < line < 2**31)
    if kind not in _REPORTED or not isinstance(message, str) or not whole:
        return Failed(FailureKind.BAD_OUTPUT, "The strategy's process sent a failure that cannot be read.")
    return Failed(kind, readable(message), line)


def readable(text: str) -> str:
    """A stranger's text as one bounded line that can be stored and shown: no control characters, no half characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_MESSAGE_LENGTH]).strip()
