"""Runs processes side by side: starts them, starts again what crashed, and leaves nobody behind.

Knows nothing of what it runs, and no Django. Each process has a keeper (`keeper.py`) that ends it when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from signalist.clock import monotonic

KEEPER = Path(__file__).with_name("keeper.py")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running; `environment` is added to ours, and the first start is `after` so many seconds."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. A program that ended is started again after `first`, then twice that, and so on up to `longest`; one that ran for `steady`
    begins at `first` anew. One that is asked to end has `grace` for it."""

    first: float = 0.5
    longest: float = 30.0
    steady: float = 30.0
    grace: float = 15.0


class Supervisor:
    """Keeps programs running until it is stopped. `say` is given their lines, with their name in front, and its own."""

    def __init__(self, programs: Sequence[Program], say: Say, patience: Patience = Patience()) -> None:
        self._programs, self._say, self._patience = programs, say, patience
        self._width = max(len(program.name) for program in programs)
        self._stopping = asyncio.Event()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # asyncio's own subprocesses end only when nobody holds their output any more; what a program has forked may hold it for ever.
        self._waiters = ThreadPoolExecutor(len(programs), thread_name_prefix="waiting")

    def stop(self) -> None:
        """End everything in good order; asked a second time, at once."""
        at_once = self._stopping.is_set()
        self._stopping.set()
        for process in self._running.values():
            if at_once:
                _kill_group(process)
            else:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()

    async def run(self) -> None:
        """Work until stopped and everything has ended. What goes wrong here (nobody takes what is said) stops everything, and is raised."""
        keeping = [asyncio.create_task(self._keep(program)) for program in self._programs]
        try:
            await asyncio.wait(keeping, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._stop_once()
            await asyncio.wait(keeping)
        for each in keeping:
            each.result()

    async def _keep(self, program: Program) -> None:
        pause = self._patience.first
        await self._pause(program.after)
        while not self._stopping.is_set():
            begun = monotonic()
            how = await self._once(program)
            if self._stopping.is_set():
                return
            if monotonic() - begun >= self._patience.steady:
                pause = self._patience.first
            self._tell(program, f"{how}; starting again in {pause:g} s")
            await self._pause(pause)
            pause = min(2 * pause, self._patience.longest)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _stop_once(self) -> None:
        if not self._stopping.is_set():
            self.stop()

    async def _once(self, program: Program) -> str:
        """Start the program and wait for its end; in words, how it ended."""
        try:
            process = self._started(program)
        except OSError as error:  # no memory, no more processes: it may go better later
            return f"could not be started ({(error.strerror or str(error)).lower()})"
        self._running[program.name] = process
        if self._stopping.is_set():
            process.terminate()
        telling = asyncio.create_task(self._tell_lines(program, process))
        status = await asyncio.get_running_loop().run_in_executor(self._waiters, process.wait)
        _kill_group(process)  # what the program has forked and left
        del self._running[program.name]
        assert process.stdin is not None
        process.stdin.close()
        await telling
        return f"ended with status {status}"

    def _started(self, program: Program) -> subprocess.Popen[bytes]:
        # Isolated and without site-packages: the keeper needs the standard library alone, and starts in no time.
        keeper = [sys.executable, "-I", "-S", str(KEEPER), str(self._patience.grace)]
        return subprocess.Popen(  # noqa: S603  # what we were set up with
            [*keeper, *program.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **program.environment},
        )

    async def _tell_lines(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, process.stdout)
        try:
            async for line in _lines(stream):
                self._tell(program, line)
        except BaseException:
            self._stop_once()  # a program whose lines nobody takes would wait for ever to be rid of them
            raise
        finally:
            transport.close()

    def _tell(self, program: Program, line: str) -> None:
        self._say(f"{program.name:{self._width}} | {line}")


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of `stream`, however long."""
    rest = b""
    while chunk := await stream.read(65_536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip()
    if rest:
        yield rest.decode(errors="replace").rstrip()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def busy(host: str, port: int) -> str | None:
    """Why nothing could listen at `host` and `port` now, in the system's words; None where something could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


async def answers(
    host: str,
    port: int,
    path: str,
    headers: Mapping[str, str] = MappingProxyType({"Host": "localhost"}),
    within: float = 2.0,
) -> int:
    """The status with which a GET of `path` is answered over HTTP; 0 where there is no answer within so many seconds."""
    lines = [
        f"GET {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        "Connection: close",
        "",
        "",
    ]
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write("\r\n".join(lines).encode())
                first = await reader.readline()
            finally:
                writer.close()
            return int(first.split()[1])
    except (OSError, TimeoutError, IndexError, ValueError):
        return 0
