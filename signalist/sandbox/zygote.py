"""The process that strategies' processes are forked from: warm, with one thread, behind its walls, and without anything of anybody's.

A script, started by path with an environment that holds nothing and one socket. It knows no strategy and no candle: each message on the
socket brings three descriptors (the channel of a run, what it prints to, and its status), a fork takes the first two, and the status
tells the parent the child's id and, once it has ended, how. When the parent closes the status, the child is killed.
"""

from __future__ import annotations

import array
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import sysconfig
import zoneinfo
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
DESCRIPTORS = 3
SPARE = 2
# What is loaded lazily by those that are imported, and wanted before the walls stand.
PARTS = (
    "numpy.random",
    "numpy.linalg",
    "numpy.fft",
    "numpy.ma",
    "numpy.polynomial",
    "numpy.lib.stride_tricks",
    "linecache",
    # Compiled, which cannot be loaded late. A wall that would stand only because these are missing would be none.
    "_multiprocessing",
    "_posixshmem",
    "_posixsubprocess",
    "encodings.idna",
    "fcntl",
    "mmap",
)
EXTRAS = {"lean": (), "pandas": ("pandas",)}
PACKAGES = ("numpy", "pandas", "dateutil", "tzdata", "six")


def load(name: str, path: Path) -> ModuleType:
    """Import one of our own files under `name`, whatever the import path says."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


FILES = ("frames", "allowed", "forms", "interface", "seccomp", "landlock", "walls", "standing", "shelf", "runner")
"""In the order in which they need each other."""


class Ours:
    """Our own files, loaded so that a strategy finds none of them but `signalist_strategy`."""

    def __init__(self) -> None:
        for name in FILES:
            setattr(self, name, load(name, HERE / f"{name}.py"))
        packages = {name: ModuleType(name) for name in ("signalist", "signalist.domain")}
        sys.modules.update(packages)
        packages["signalist.domain"].__path__ = [str(HERE.parent / "domain")]
        self.author = load("signalist_strategy", HERE / "authoring" / "signalist_strategy.py")
        for name in FILES:
            del sys.modules[name]
        for name in [name for name in sys.modules if name.split(".")[0] == "signalist"]:
            del sys.modules[name]

    def read(self, source: str) -> Any:
        """A strategy of that source, with what strategies are given. Raises interface.RefusedError."""
        own: Any = self
        return own.interface.Strategy(own.author, own.allowed, own.forms, source)


class Zygote:
    """Gives each message a child, forked and warmed in advance where there was time for that, and buries the children."""

    def __init__(self, control: socket.socket, ours: Any, base: int, filters: bytes) -> None:
        self._control = control
        self._ours = ours
        self._base = base
        self._filters = filters
        self._warming = ours.runner.exercise(ours.read)
        self._spare: list[tuple[int, socket.socket]] = []
        self._running: dict[int, socket.socket] = {}  # by the child's id
        self._wanted: dict[int, int] = {}  # the child's id by its status's descriptor
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._poll.register(self._woken, select.POLLIN)

    def serve(self) -> None:
        """Go on until the parent is gone."""
        while True:
            patience = 0 if len(self._spare) < SPARE else None
            events = self._poll.poll(patience)
            if not events:
                self._keep_a_spare()
            for descriptor, _ in events:
                if descriptor == self._control.fileno():
                    self._start()
                elif descriptor == self._woken:
                    os.read(self._woken, 4096)
                    self._bury()
                elif descriptor in self._wanted:
                    self._end(descriptor)

    def _keep_a_spare(self) -> None:
        with suppress(OSError):  # no room for a process now: the next run finds out whether there is
            self._spare.append(self._fork(is_spare=True))

    def _start(self) -> None:
        size = self._ours.frames.START.size
        message, ancillary, _, _ = self._control.recvmsg(
            size, socket.CMSG_SPACE(4 * DESCRIPTORS), socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            os._exit(0)
        given = array.array("i")
        for _, _, data in ancillary:
            given.frombytes(data)
        if len(given) == 1:
            self._fork_bare(given[0])
            return
        channel, printer, told = given
        status = socket.socket(fileno=told)
        try:
            pid = self._hand_over(message, channel, printer)
        except OSError as error:
            pid = -(error.errno or 1)
        os.close(channel)
        os.close(printer)
        if not _tell(status, self._ours.frames.STATUS.pack(pid)) or pid < 0:
            status.close()
            if pid > 0:
                _kill(pid)
            return
        self._running[pid] = status
        self._wanted[told] = pid
        self._poll.register(told, select.POLLIN)

    def _fork_bare(self, line: int) -> None:
        """A fork that does nothing: what a run is measured against."""
        if os.fork() == 0:
            os.write(line, b".")
            os._exit(0)
        os.close(line)

    def _hand_over(self, message: bytes, channel: int, printer: int) -> int:
        """Give the run to a spare child, or to a fresh one; returns its id. Raises OSError when there is none to be had."""
        given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", (channel, printer)))]
        while True:
            is_fresh = not self._spare
            pid, line = self._fork() if is_fresh else self._spare.pop(0)
            with line:
                try:
                    line.sendmsg([message], given, socket.MSG_NOSIGNAL)
                except OSError:
                    if is_fresh:
                        raise
                    continue
            return pid

    def _fork(self, *, is_spare: bool = False) -> tuple[int, socket.socket]:
        """A child that waits for its run on the line that is returned with its id. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            self._become(theirs, is_spare=is_spare)
        theirs.close()
        return pid, ours

    def _become(self, line: socket.socket, *, is_spare: bool) -> None:
        """The child's part: nothing but its own descriptors, then its limits, and the strategy. Never returns."""
        try:
            ours = self._ours
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(line.fileno(), 3)
            os.closerange(4, 1 << 16)
            os.setsid()
            ours.walls.tie(0)
            ours.runner.begin(ours.interface, self._warming if is_spare else None)
            line = socket.socket(fileno=3)
            message, ancillary, _, _ = line.recvmsg(ours.frames.START.size, socket.CMSG_SPACE(4 * DESCRIPTORS))
            if not message:
                os._exit(0)
            channel, printer = array.array("i", ancillary[0][2])
            os.dup2(printer, 1)
            os.dup2(printer, 2)
            os.dup2(channel, 3)
            line.detach()
            os.closerange(4, 1 << 16)
            memory, seconds = ours.frames.START.unpack(message)
            ours.walls.around_one(self._base + memory, seconds, ours.seccomp, self._filters)
            served = ours.runner.Channel(ours.frames, 3)
            ours.runner.Server(ours.frames, ours.interface, ours.read, served, ours.standing.stand_at).serve()
        finally:
            os._exit(0)

    def _end(self, descriptor: int) -> None:
        """The parent has closed a status: nobody waits for that run any more."""
        self._poll.unregister(descriptor)
        _kill(self._wanted.pop(descriptor))

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            told = self._running.pop(pid, None)
            if told is None:
                self._lose(pid)
                continue
            if self._wanted.pop(told.fileno(), None) is not None:
                self._poll.unregister(told)
            _tell(told, self._ours.frames.STATUS.pack(os.waitstatus_to_exitcode(status)))
            told.close()

    def _lose(self, pid: int) -> None:
        """A spare child has died before it was needed."""
        for one in [one for one in self._spare if one[0] == pid]:
            one[1].close()
            self._spare.remove(one)


def _kill(pid: int) -> None:
    """End a child that has not been buried yet, so that its number is still its own."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _tell(status: socket.socket, message: bytes) -> bool:
    try:
        status.send(message, socket.MSG_NOSIGNAL)
    except OSError:
        return False
    return True


def _libraries() -> list[str]:
    """The directories of Python's own libraries and of those that strategies use."""
    paths = sysconfig.get_paths()
    found = {paths["stdlib"], paths["platstdlib"].replace(sys.prefix, sys.base_prefix, 1), *zoneinfo.TZPATH}
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            found.add(str(origin.parent if origin.name == "__init__.py" else origin))
            found.add(f"{origin.parent}.libs")
    return sorted(path for path in found if Path(path).exists())


def main() -> None:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    extras, leave_out = sys.argv[3], frozenset(sys.argv[4].split(",")) - {""}
    # A pool of threads would be copied by no fork. The C library reads these once.
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    ours: Any = Ours()
    for name in (*ours.allowed.IMPORTS, *PARTS):
        if name != "pandas":
            importlib.import_module(name)
    for name in EXTRAS[extras]:
        importlib.import_module(name)
    readable = _libraries()
    ours.shelf.note(readable)
    ours.shelf.install()
    ours.standing.install()
    os.environ.clear()
    sys.argv[:] = [ours.interface.STRATEGY]
    ctypes.CDLL(None)
    base = ours.walls.address_space()
    stand, missing = ours.walls.around_all(readable, ours.landlock, leave_out)
    ours.walls.tie(parent)
    filters, reason = ours.walls.filters(ours.seccomp, leave_out)
    stand += [ours.walls.LIMITS] + ([ours.walls.SECCOMP] if filters else [])
    missing += [reason] if reason else []
    control = socket.socket(fileno=descriptor)
    control.send(json.dumps({"stand": stand, "missing": missing}).encode())
    zygote = Zygote(control, ours, base, filters)
    gc.collect()
    gc.freeze()
    gc.disable()
    zygote.serve()


if __name__ == "__main__":
    main()
