"""One running child process: ask it, with a deadline and limits on all that comes back, and kill it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from signalist.clock import monotonic

from . import frames, spawner
from .frames import Frame
from .outcomes import Failed, FailureKind

_RUNNER = Path(__file__).with_name("runner.py")
_BOOT_SECONDS = 60.0
_SOCKET_BUFFER = 1 << 20
_CHUNK = 65_536
_MESSAGE_LENGTH = 600
_GOODBYE_SECONDS = 1.0
_KILL_SECONDS = 5.0
_GLANCE_SECONDS = 0.002
# What a child may say of itself; anything else in a FAILED frame is a forged one.
_REPORTED = {
    FailureKind.SYNTAX, FailureKind.DECLARATION, FailureKind.RAISED, FailureKind.BAD_OUTPUT, FailureKind.MEMORY,
}  # fmt: skip


class Refusal(Exception):
    """Ends an exchange from within with the outcome that it carries."""

    def __init__(self, kind: FailureKind, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.failed = Failed(kind, readable(message), line)


class Child:
    """A process that runs one strategy. Raises OSError when it cannot be started; not safe to use from two threads at once."""

    def __init__(self, *, seconds: float, memory: int, output: int) -> None:
        self._output_limit = output
        self._number = 0
        self.printed = bytearray()
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            ours.setblocking(False)
            try:
                self._process = spawner.start(lambda: _popen(theirs.fileno(), memory, seconds))
            except OSError:
                ours.close()
                raise
        assert self._process.stdout is not None
        self._socket = ours
        self._printer: int | None = self._process.stdout.fileno()
        os.set_blocking(self._printer, False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._printer, select.POLLIN)

    @property
    def pid(self) -> int:
        return self._process.pid

    def boot(self) -> Failed | None:
        """Wait until the interpreter and numpy are loaded."""
        answer = self._exchange([], Frame.READY, 0, _BOOT_SECONDS)
        if not isinstance(answer, Failed):
            return None
        reason = self.printed.decode(errors="replace").strip().rpartition("\n")[2]
        return Failed(answer.kind, readable(f"Starting Python for the strategy failed. {answer.message} {reason}"))

    def has_ended(self) -> bool:
        """Whether it is gone, between two requests."""
        return self._unasked() == b"" or self._exited()

    def speaks_unasked(self) -> bool:
        """Whether it has sent something that nobody asked for."""
        return bool(self._unasked())

    def ask(self, kind: Frame, body: list[bytes], expected: Frame, size: int, seconds: float) -> bytearray | Failed:
        """Send one request and return the body of its reply, `expected` and of at most `size` bytes, within `seconds`."""
        self._number = (self._number + 1) % 2**32
        header = frames.HEADER.pack(kind, self._number, sum(len(part) for part in body))
        return self._exchange(frames.pieces([header, *body]), expected, size, seconds)

    def kill(self) -> None:
        """End the child and its process group at once, and release what it held."""
        self._reap()
        self._socket.close()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _exchange(self, request: list[bytes], expected: Frame, size: int, seconds: float) -> bytearray | Failed:
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

    def _send(self, piece: bytes, deadline: float, seconds: float) -> None:
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

    def _receive(self, size: int, deadline: float, seconds: float) -> bytearray:
        buffer = bytearray(size)
        view, filled = memoryview(buffer), 0
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
        return buffer

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
        deadline = monotonic() + _GOODBYE_SECONDS
        while not self._exited() and monotonic() < deadline:
            select.select([], [], [], _GLANCE_SECONDS)
        self._drain()
        status = self._reap() if self._exited() else frames.CHANNEL_LOST
        if status == frames.CHANNEL_LOST:
            return Refusal(FailureKind.BAD_OUTPUT, "The strategy closed the channel that its signals travel on.")
        if status == -signal.SIGXCPU:
            return Refusal(FailureKind.TIMED_OUT, "The strategy used up its processor time.")
        how = f"on signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"with exit status {status}"
        return Refusal(FailureKind.DIED, f"The strategy's process ended {how}.")

    def _exited(self) -> bool:
        """Whether the process is dead; it is not reaped, so that its number still names its group for `_reap`."""
        if self._process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # someone else in this process has reaped it
            return True

    def _reap(self) -> int:
        """Kill what is left of the process group and return the child's exit status (negative: the signal that ended it)."""
        if self._process.returncode is None:
            # The group may be gone already, which is what is wanted.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            try:
                return self._process.wait(_KILL_SECONDS)
            except subprocess.TimeoutExpired:  # stuck in the kernel; it is reaped with the next process that is started
                return -signal.SIGKILL
        return self._process.returncode


def _popen(descriptor: int, memory: int, seconds: float) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-I", "-B", str(_RUNNER), str(descriptor), str(os.getpid()), str(memory), str(seconds)]
    return subprocess.Popen(  # noqa: S603  # our own interpreter and file; the strategy travels over the channel
        arguments,
        env={},
        cwd="/",
        close_fds=True,
        pass_fds=(descriptor,),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _reported(body: bytearray) -> Failed:
    """The failure that a child reports of itself, checked field by field."""
    try:
        said = json.loads(body)
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
