"""Web processes of their own for tests, and clients that talk to their sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tenants.roles import WEB
from tests.flows.commands import of_the_test_run
from tests.flows.forks import Nursery
from tests.live.pages import session_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 10.0
QUICK = {"region": 0.05, "beat": 0.2, "turn": 0.1, "behind": 1.0}


# What a web process loads before it has a loop of its own, which no two may share.
_nursery = Nursery(
    "autobahn.twisted.websocket",
    "twisted.internet.asyncioreactor",
    "twisted.internet.endpoints",
    "twisted.internet.ssl",
    "twisted.web.http",
)


class WebProcess:
    """One web process. On PostgreSQL it has the rights that web processes have, and no others."""

    def __init__(self, pace: dict[str, float], log: Path, port: int = 0) -> None:
        self.log = log
        role = {"DATABASE_ROLE": WEB} if connection.vendor == "postgresql" else {}
        ends, said = log.with_suffix(".ends"), log.with_suffix(".said")
        os.mkfifo(ends)
        self._ends: int | None = os.open(ends, os.O_RDWR)
        self.process = _nursery.serve(
            "tests.live.web_process",
            [json.dumps(pace), f"{port}"],
            of_the_test_run(connection).environment(**role, SIGNALIST_LOGS="console"),
            ends,
            said,
            log,
        )
        while not said.exists() or not said.read_text().endswith("\n"):
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.01)
        self.port = int(said.read_text())

    def page(self, browser: Client, *regions: str, **query: str) -> ClientConnection:
        """A socket as a browser opens it."""
        return connect(
            f"ws://127.0.0.1:{self.port}/live/?regions={','.join(regions)}&after={query.get('after', '')}",
            origin=f"http://127.0.0.1:{self.port}",  # type: ignore[arg-type]
            additional_headers={"Cookie": f"sessionid={session_of(browser)}"},
            max_size=None,
        )

    def log_out(self, browser: Client) -> None:
        """Post the log-out form, as the browser does."""
        address = f"http://127.0.0.1:{self.port}/accounts/logout/"
        session, token = session_of(browser), "a" * 32
        request = urllib.request.Request(
            address,
            data=f"csrfmiddlewaretoken={token}".encode(),
            headers={"Cookie": f"sessionid={session}; csrftoken={token}", "Origin": f"http://127.0.0.1:{self.port}"},
        )
        urllib.request.build_opener(_NoRedirect).open(request, timeout=PATIENCE)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns the exit status."""
        self.process.send_signal(how)
        status = self.process.wait(PATIENCE)
        if self._ends is not None:
            os.close(self._ends)
            self._ends = None
        return status


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        return fp


Start = Callable[..., WebProcess]


def until(page: ClientConnection, met: Callable[[str], bool], seconds: float = PATIENCE) -> str:
    """The first message that meets `met`; beats are answered on the way."""
    deadline = time.monotonic() + seconds
    while True:
        message = str(page.recv(timeout=max(deadline - time.monotonic(), 0.01)))
        if '"beat"' in message:
            page.send('{"live":"beat"}')
        if met(message):
            return message


def closed(page: ClientConnection, seconds: float) -> int | None:
    """The code with which the server closes within so many seconds."""
    try:
        until(page, lambda message: False, seconds)
    except ConnectionClosed as how:
        return how.rcvd.code if how.rcvd else None
    except TimeoutError:
        return None
    return None


def raw(web: WebProcess, browser: Client, region: str) -> socket.socket:
    """A socket that reads only when it is told to; past the handshake, and nothing else read."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
    found.settimeout(PATIENCE)
    found.connect(("127.0.0.1", web.port))
    host = f"127.0.0.1:{web.port}"
    found.sendall(
        f"GET /live/?regions={region} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        f"Cookie: sessionid={session_of(browser)}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += found.recv(1)
    assert b" 101 " in answer
    return found


def messages(received: bytearray, found: socket.socket) -> Iterator[str]:
    """The text messages in what was received, read on to their ends."""
    while True:
        while len(received) < 10:
            received += found.recv(65536)
        length, begin = received[1] & 0x7F, 2
        if length >= 126:
            width = 2 if length == 126 else 8
            length, begin = int.from_bytes(received[2 : 2 + width], "big"), 2 + width
        while len(received) < begin + length:
            received += found.recv(65536)
        yield received[begin : begin + length].decode()
        del received[: begin + length]


def is_gone(found: socket.socket) -> bool:
    """Whether the other side has dropped the connection, without reading from it."""
    state = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != 1  # TCP_ESTABLISHED
