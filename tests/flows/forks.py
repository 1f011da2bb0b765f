"""Commands as forks of one process that has loaded the house: `tests/flows/nursery.py`, seen from the tests that ask it."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
_NOT_INHERITED = ("DATABASE_", "SIGNALIST_FAILPOINT", "DJANGO_ALLOW_ASYNC_UNSAFE", "PYTEST_")


def inherited() -> dict[str, str]:
    """The variables of this process that a command gets from it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The one JSON object on standard output; the status must be 0."""
        assert self.status == 0, self.err
        told: dict[str, Any] = json.loads(self.out)
        return told

    @property
    def was_killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Nursery:
    """The process whose children run commands; started when it is first needed, and ended with the tests. `libraries`: what it loads beside
    what every command does."""

    def __init__(self, *libraries: str) -> None:
        self._libraries = libraries
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="flows-")

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Said:
        """Run `manage.py` with these arguments to its end."""
        out, err = Path(self._folder.name) / "out", Path(self._folder.name) / "err"
        status = self._ask(arguments=arguments, environment=environment, out=str(out), err=str(err), goes_on=False)
        assert status is not None
        return Said(status, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Started:
        """Start `manage.py` with these arguments; the caller ends it. What it says is the test's own output."""
        child = self._ask(arguments=arguments, environment=environment, out=None, err=None, goes_on=True)
        assert child is not None
        return Started(child, self)

    def serve(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], ends: Path, out: Path, err: Path
    ) -> Started:
        """Start a module that ends when nobody has the pipe `ends` open for writing any more; the caller has."""
        ways = {"in": str(ends), "out": str(out), "err": str(err)}
        child = self._ask(module=module, arguments=arguments, environment=environment, goes_on=True, **ways)
        assert child is not None
        return Started(child, self)

    def ended(self, child: int) -> int | None:
        """The exit status of what was started, once it has ended."""
        return self._ask(ended=child)

    def end(self) -> None:
        """End the process and what it may be running."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None
        self._folder.cleanup()

    def _ask(self, **request: object) -> int | None:
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        assert ready, f"not within {PATIENCE} s: {request}"
        answer: int | None = json.loads(process.stdout.readline())
        return answer

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.flows.nursery", *self._libraries],
                cwd=ROOT,
                env=inherited() | {"DATABASE_URL": f"sqlite:///{self._folder.name}/none", "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            atexit.register(self.end)
        return self._process


class Started:
    """A command that goes on by itself, used as one uses a `subprocess.Popen`."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        self.pid, self._nursery = pid, nursery
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ended(self.pid)
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status, once it has ended."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("manage.py", timeout)
            time.sleep(0.01)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        self.send_signal(signal.SIGKILL)
