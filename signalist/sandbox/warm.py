"""The warm processes that runs are forked from, one of each kind per process of ours: started when wanted, started anew when lost."""

from __future__ import annotations

import array
import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import frames, spawner

_HERE = Path(__file__).resolve().parent
_SCRIPT = _HERE / "zygote.py"
_BOOT_SECONDS = 60.0
_KILL_SECONDS = 5.0
_READY_SIZE = 8192
_SOCKET_BUFFER = 1 << 20
# One environment, so that the order of a set of words is the same in every process.
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
NEEDED = frozenset({"no_new_privs", "rlimits", "seccomp", "landlock"})
"""The walls without which no stranger's code runs."""


class CannotStart(Exception):
    """There is no process to fork a run from; the message says why."""


@dataclass(frozen=True, slots=True)
class Walls:
    """Which walls stand around every run on this machine, and why the others do not."""

    stand: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def level(self) -> str:
        """`namespaces` (bubblewrap around the kernel's filters), `filters` (seccomp and Landlock), `weak` (less than that)."""
        if not set(self.stand) >= NEEDED:
            return "weak"
        return "namespaces" if "bubblewrap" in self.stand else "filters"

    @property
    def refusal(self) -> str | None:
        """Why a stranger's code is not run here; None when it is."""
        if self.level != "weak":
            return None
        lacking = ", ".join(sorted(NEEDED - set(self.stand)))
        reasons = "; ".join(reason for reason in self.missing if reason.split(":")[0] in NEEDED)
        return f"This machine cannot hold a stranger's code: it lacks {lacking} ({reasons})."


@dataclass(frozen=True, slots=True)
class Ends:
    """Our ends of one run: its channel, what it prints, and its status."""

    channel: socket.socket
    printer: int
    status: socket.socket

    def close(self) -> None:
        """Release them; the run is killed if it still goes on."""
        self.channel.close()
        self.status.close()
        with suppress(OSError):
            os.close(self.printer)


class Zygote:
    """One warm process. `kind` is `lean` (numpy) or `pandas`; `leave_out` names walls that shall not be raised, to try what then happens.

    Safe to use from several threads.
    """

    def __init__(self, kind: str, *, leave_out: tuple[str, ...] = ()) -> None:
        self._kind = kind
        self._leave_out = leave_out
        self.forget()

    def forget(self) -> None:
        """Have no process, without ending the one there is: in a forked process it is the parent's."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._walls: Walls | None = None

    def walls(self) -> Walls:
        """The walls around its runs. Raises CannotStart."""
        with self._lock:
            return self._ready()[1]

    def run(self, memory: int, seconds: float) -> Ends:
        """Fork a process for one run. Raises CannotStart."""
        for is_last in (False, True):
            with self._lock:
                control, _ = self._ready()
                try:
                    return _sent(control, frames.START.pack(memory, seconds))
                except OSError as error:
                    self._stop()
                    if is_last:
                        raise CannotStart(f"the sandbox's process is gone: {error}") from None
        raise AssertionError

    def bare_fork(self) -> socket.socket:
        """Have it fork a child that only sends a byte on the line returned: what runs are measured against. Raises CannotStart."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            given = array.array("i", (theirs.fileno(),))
            control, _ = self._ready()
            try:
                control.sendmsg(
                    [frames.START.pack(0, 0)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)], socket.MSG_NOSIGNAL
                )
            except OSError as error:
                ours.close()
                raise CannotStart(f"the sandbox's process is gone: {error}") from None
        return ours

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End it, and with it every run."""
        with self._lock:
            self._stop()

    def _ready(self) -> tuple[socket.socket, Walls]:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._control is None or self._walls is None:
            self._start()
        assert self._control is not None
        assert self._walls is not None
        return self._control, self._walls

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            prefix = _bubblewrap() if "bubblewrap" not in self._leave_out else []
            try:
                self._process = spawner.start(lambda: _popen(prefix, theirs.fileno(), self._kind, self._leave_out))
            except OSError as error:
                ours.close()
                raise CannotStart(f"the sandbox's process could not be started: {error}") from None
        self._control = ours
        ours.settimeout(_BOOT_SECONDS)
        try:
            said = json.loads(ours.recv(_READY_SIZE) or b"null")
        except (OSError, ValueError):
            said = None
        if said is None:
            reason = self._last_words()
            self._stop()
            raise CannotStart(f"the sandbox's process did not get ready: {reason}")
        ours.settimeout(None)
        extra, lacking = (["bubblewrap"], []) if prefix else ([], ["bubblewrap: not installed, or not allowed here"])
        self._walls = Walls((*said["stand"], *extra), (*said["missing"], *lacking))

    def _last_words(self) -> str:
        process = self._process
        if process is None or process.stdout is None:
            return ""
        process.kill()
        said = process.stdout.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"exit status {process.wait(_KILL_SECONDS)} {said}"

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_SECONDS)
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._process = self._control = self._walls = None


def _sent(control: socket.socket, message: bytes) -> Ends:
    """Hand the other ends of a run to the process. Raises OSError when it is gone."""
    channel, their_channel = socket.socketpair()
    status, their_status = socket.socketpair()
    printer, their_printer = os.pipe()
    with their_channel, their_status:
        for end in (channel, their_channel):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        given = array.array("i", (their_channel.fileno(), their_printer, their_status.fileno()))
        try:
            control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)], socket.MSG_NOSIGNAL)
        except OSError:
            Ends(channel, printer, status).close()
            raise
        finally:
            os.close(their_printer)
    channel.setblocking(False)
    os.set_blocking(printer, False)
    return Ends(channel, printer, status)


def _popen(prefix: list[str], descriptor: int, kind: str, leave_out: tuple[str, ...]) -> subprocess.Popen[bytes]:
    # Not -I, which would ignore the one variable that is given; -s and -P are the rest of it.
    parent = "0" if prefix else str(os.getpid())
    arguments = [
        *prefix,
        sys.executable,
        "-s",
        "-P",
        "-B",
        str(_SCRIPT),
        str(descriptor),
        parent,
        kind,
        ",".join(leave_out),
    ]
    return subprocess.Popen(  # noqa: S603  # our own interpreter and file
        arguments,
        env=_ENVIRONMENT,
        cwd="/",
        close_fds=True,
        pass_fds=(descriptor,),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


_wrapped: list[list[str]] = []


def _bubblewrap() -> list[str]:
    """The command that puts what follows into namespaces of its own; empty where there is none or it is not allowed. Tried once."""
    if not _wrapped:
        _wrapped.append(_tried())
    return _wrapped[0]


def _tried() -> list[str]:
    found = shutil.which("bwrap")
    if found is None:
        return []
    seen = [
        "/usr",
        "/lib",
        "/lib64",
        "/etc/ld.so.cache",
        sys.base_prefix,
        sys.prefix,
        *map(str, (_HERE, _HERE.parent / "domain")),
    ]
    binds = [word for path in seen for word in ("--ro-bind-try", path, path)]
    command = [
        found, "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", *binds, "--proc", "/proc", "--dev", "/dev",
        "--cap-drop", "ALL", "--",
    ]  # fmt: skip
    trial = [*command, sys.executable, "-c", "import numpy"]
    try:
        done = subprocess.run(trial, env={}, capture_output=True, timeout=_BOOT_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    return command if done.returncode == 0 else []


_zygotes = {kind: Zygote(kind) for kind in ("lean", "pandas")}


def zygote(kind: str) -> Zygote:
    """This process's warm process of that kind."""
    return _zygotes[kind]


def _forget_all() -> None:
    for one in _zygotes.values():
        one.forget()


def _close_all() -> None:
    for one in _zygotes.values():
        one.close()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(_close_all)
