"""A Redis server of the tests' own: on loopback, in memory, ended by its process."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "SIGNALIST_TEST_REDIS"
"""The variable that says where it listens: set here, or beforehand by whoever has one running already."""


def is_here() -> bool:
    """Whether a server can be started here, and spoken to."""
    found = os.environ.get(ADDRESS) or shutil.which("redis-server")
    return bool(found) and importlib.util.find_spec("redis") is not None


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes] | None]:
    """A server until the block ends; None where one is running already."""
    if os.environ.get(ADDRESS):
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL, cwd=folder) as server:
        try:
            _wait_for(port, server)
            os.environ[ADDRESS] = f"redis://127.0.0.1:{port}/0"
            yield server
        finally:
            os.environ.pop(ADDRESS, None)
            server.kill()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None, "redis-server ended at once"
        time.sleep(0.05)
    raise AssertionError("redis-server does not listen")
