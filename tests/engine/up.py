"""The product as `manage.py up` starts it, watched from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

from tests.engine.processes import MARK, command, marked
from tests.flows.commands import ROOT, OwnDatabase

PATIENCE = 60


class Up:
    """The product, started by one command on a port of its own; `more` are further environment variables."""

    def __init__(self, database: OwnDatabase, told: Path, *arguments: str, nohup: bool = False, **more: str) -> None:
        self.mark, self.told, self.port = uuid.uuid4().hex, told, free_port()
        with told.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *(["nohup"] if nohup else []),
                    sys.executable,
                    "manage.py",
                    "up",
                    "--port",
                    str(self.port),
                    *arguments,
                ],
                cwd=ROOT,
                env=database.environment(**{MARK: self.mark}, **more),
                stdout=out,
                stderr=out,
            )

    def lines(self, start: str) -> list[str]:
        """The lines so far that begin like this."""
        return [line for line in self.told.read_text().splitlines() if line.startswith(start)]

    def others(self) -> set[int]:
        """Everything that it started and that lives."""
        return marked(self.mark) - {self.process.pid}

    def running(self, words: str) -> int:
        """The process that was started with these words by its keeper."""
        found = {pid for pid in self.others() if words in command(pid) and "keeper.py" not in command(pid)}
        return min(found)

    def answers(self) -> bool:
        """Whether the web process does."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=10) as answer:
            return bool(answer.status == 200)

    def end(self) -> None:
        """Have nothing of it left."""
        self.process.kill()
        self.process.wait()
        for pid in marked(self.mark):
            os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
