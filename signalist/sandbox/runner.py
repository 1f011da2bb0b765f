"""The child's side of the sandbox: a script that runs one strategy file for its parent, request by request, until the channel closes.

It is started by path with `python -I`, an empty environment and one socket; see frames.py for what goes over it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
OPEN_FILES = 64
PR_SET_PDEATHSIG = 1
SOCKET_BUFFER = 1 << 20


def load(name: str, path: Path) -> ModuleType:
    """Import one of our own files under `name`, whatever the import path says."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def confine(parent: int) -> None:
    """Tie this process to its parent's life and take from it what no strategy needs."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def prepare() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Import numpy, make `signalist_strategy` importable and return the wire format, the interface and that module."""
    # A thread pool per child would reserve memory for nothing, and may not be started at all. The C library reads these once.
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    frames, interface = load("frames", HERE / "frames.py"), load("interface", HERE / "interface.py")
    del sys.modules["frames"], sys.modules["interface"]
    ours = {name: ModuleType(name) for name in ("signalist", "signalist.domain")}
    sys.modules.update(ours)
    ours["signalist.domain"].__path__ = [str(HERE.parent / "domain")]
    author = load("signalist_strategy", HERE / "authoring" / "signalist_strategy.py")
    for name in [name for name in sys.modules if name.split(".")[0] == "signalist"]:
        del sys.modules[name]
    os.environ.clear()
    sys.argv[:] = [interface.STRATEGY]
    gc.collect()
    gc.freeze()
    return frames, interface, author


class Channel:
    """The child's end of the socket. The parent is trusted, so nothing is checked here."""

    def __init__(self, frames: ModuleType, descriptor: int) -> None:
        self._frames = frames
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)

    def header(self) -> tuple[int, int, int] | None:
        """Wait for a request; None when the parent has closed the channel."""
        header = self._exactly(self._frames.HEADER.size)
        return self._frames.HEADER.unpack(header) if header else None

    def body(self, size: int) -> memoryview:
        return self._exactly(size)

    def send(self, frame: int, number: int, *parts: bytes) -> None:
        size = sum(len(part) for part in parts)
        message = [self._frames.HEADER.pack(frame, number, size), *parts]
        try:
            for piece in self._frames.pieces(message):
                self._socket.sendall(piece)
        except OSError:
            os._exit(self._frames.CHANNEL_LOST)

    def _exactly(self, size: int) -> memoryview:
        """`size` bytes, read-only; fewer only where the channel ended."""
        buffer = memoryview(bytearray(size))
        filled = 0
        while filled < size:
            count = self._socket.recv_into(buffer[filled:])
            if count == 0:
                return buffer[:0]
            filled += count
        return buffer.toreadonly()


class Server:
    """Answers the parent's requests one after the other."""

    def __init__(
        self, frames: ModuleType, interface: ModuleType, author: ModuleType, channel: Channel, seconds: float
    ) -> None:
        self._frames = frames
        self._interface = interface
        self._author = author
        self._channel = channel
        self._seconds = seconds
        self._strategy: Any = None

    def serve(self) -> None:
        """Say that the process is ready, then answer until the channel closes."""
        self._channel.send(self._frames.Frame.READY, 0)
        while (header := self._channel.header()) is not None:
            kind, number, size = header
            try:
                self._allow_processor_time()
                frame, parts = self._answer(kind, self._channel.body(size))
            except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt too: the strategy raised them
                frame, parts = self._frames.Frame.FAILED, [self._interface.text(self._interface.failure(error))]
            # A strategy may have closed or replaced its own streams; what it loses is its own print.
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            self._channel.send(frame, number, *parts)

    def _answer(self, kind: int, body: memoryview) -> tuple[int, list[bytes]]:
        known = self._frames.Frame
        if kind == known.LOAD:
            self._strategy = self._interface.Strategy(self._author, json.loads(bytes(body))["source"])
            return known.DECLARED, [self._interface.text(self._strategy.declared())]
        if self._strategy is None:
            raise RuntimeError("no strategy has been loaded")
        if kind == known.BIND:
            return known.BOUND, [self._interface.text({"history": self._strategy.history(json.loads(bytes(body)))})]
        bars, columns = self._candles(body)
        answer = self._strategy.run(columns)
        if kind == known.LAST:
            flags = [answer[name] is not None and bool(answer[name][-1]) for name in self._frames.FLAG_COLUMNS]
            numbers = [
                float("nan") if answer[name] is None else float(answer[name][-1])
                for name in self._frames.NUMBER_COLUMNS
            ]
            return known.ROW, [self._frames.ROW_BODY.pack(*flags, *numbers)]
        return known.ARRAYS, self._columns(bars, answer)

    def _candles(self, body: memoryview) -> tuple[int, list[Any]]:
        """The candles of a request as read-only arrays on its bytes."""
        numpy = sys.modules["numpy"]
        (bars,) = self._frames.COUNT.unpack_from(body)
        offsets = range(self._frames.COUNT.size, len(body), 8 * bars)
        kinds = ["<i8"] + ["<f8"] * (len(self._frames.CANDLE_COLUMNS) - 1)
        return bars, [numpy.frombuffer(body, kind, bars, offset) for kind, offset in zip(kinds, offsets, strict=True)]

    def _columns(self, bars: int, answer: dict[str, Any]) -> list[bytes]:
        numpy = sys.modules["numpy"]
        flags = [bytes(bars) if answer[name] is None else answer[name].tobytes() for name in self._frames.FLAG_COLUMNS]
        nothing = numpy.full(bars, numpy.nan).tobytes() if any(values is None for values in answer.values()) else b""
        return flags + [
            nothing if answer[name] is None else answer[name].tobytes() for name in self._frames.NUMBER_COLUMNS
        ]

    def _allow_processor_time(self) -> None:
        """Let this request use its time and a little more; the parent's own deadline comes first unless the parent is stopped."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + self._seconds) + 2, hard))


def main() -> None:
    descriptor, parent, memory = (int(argument) for argument in sys.argv[1:4])
    seconds = float(sys.argv[4])
    confine(parent)
    frames, interface, author = prepare()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    Server(frames, interface, author, Channel(frames, descriptor), seconds).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
