"""How long a push takes to reach a thousand sockets: `python -m tests.benchmarks.push_to_sockets --sockets 1000 --json`.

One process runs Daphne with the whole application; this one holds the sockets and reads them cheaply. Three ways take turns:

direct  a fragment given to the registry of sockets, as the desk of a tenant does it
event   an event committed to the log, tailed, its region rendered and pushed; from before the commit to the last page
plain   the same text through a channel layer's `group_send` and an ordinary consumer, for comparison

A delivery is timed from right before the push to when a socket has read the whole of it; both processes read one monotonic clock.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WAYS = ("direct", "plain", "event")
BYTES = 2000
PAUSE = 0.6
TEXT, PING, PONG = 1, 9, 10


def _masked(kind: int, text: bytes) -> bytes:
    """A short frame as clients send it; a mask of zeros leaves the text as it is."""
    return bytes([0x80 | kind, 0x80 | len(text)]) + bytes(4) + text


ANSWER = _masked(TEXT, b'{"live":"beat"}')


class Reader:
    """All sockets of this process, read through one poll."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._poll = select.epoll()
        self._sockets: dict[int, tuple[socket.socket, str, bytearray]] = {}
        self.taken: list[tuple[str, int, int]] = []

    def connect(self, way: str, path: str, session: str) -> None:
        """Open one socket with a log-in's cookie."""
        host, port = self._address
        found = socket.create_connection(self._address, timeout=20)
        found.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\nCookie: sessionid={session}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += found.recv(4096)
        head, _, rest = answer.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise SystemExit(f"The socket was refused: {head[:80]!r}")
        found.setblocking(False)
        self._sockets[found.fileno()] = (found, way, bytearray(rest))
        self._poll.register(found.fileno(), select.EPOLLIN)
        self._frames(*self._sockets[found.fileno()])

    def read(self, seconds: float) -> None:
        """Take what comes within `seconds`, at most."""
        for number, _ in self._poll.poll(seconds):
            found, way, buffer = self._sockets[number]
            octets = found.recv(65536)
            if not octets:
                raise SystemExit(f"A socket of {way} was closed.")
            buffer += octets
            self._frames(found, way, buffer)

    def _frames(self, found: socket.socket, way: str, buffer: bytearray) -> None:
        while len(buffer) >= 4:
            length, begin = buffer[1], 2
            if length == 126:
                length, begin = int.from_bytes(buffer[2:4], "big"), 4
            if len(buffer) < begin + length:
                return
            kind, text = buffer[0] & 0x0F, bytes(buffer[begin : begin + length])
            del buffer[: begin + length]
            at = text.find(b"stamp=")
            if at >= 0:
                now = time.monotonic_ns()
                self.taken.append((way, now, now - int(text[at + 6 : at + 26])))
            elif kind == PING:
                found.sendall(_masked(PONG, text))
            elif b'"beat"' in text:
                found.sendall(ANSWER)


def main(arguments: list[str]) -> int:
    """Measure and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--pushes", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="signalist-push-") as folder:
        found = _measured(options.sockets, options.pushes, Path(folder))
    sys.stdout.write(f"{json.dumps(found) if options.json else _in_words(found)}\n")
    return 0


def _in_words(found: dict[str, Any]) -> str:
    lines = [
        f"{way:7} p50 {found[way]['p50_ms']:7.1f} ms   p99 {found[way]['p99_ms']:7.1f} ms   worst {found[way]['worst_ms']:7.1f} ms"
        for way in WAYS
    ]
    return "\n".join(
        [*lines, f"{found['sockets']} sockets; direct is {found['times_faster']} times as fast as plain at p99"]
    )


def _measured(sockets: int, pushes: int, folder: Path) -> dict[str, Any]:
    environment = {
        **os.environ,
        "DATABASE_URL": os.environ.get("DATABASE_URL", f"sqlite:///{folder / 'push.sqlite3'}"),
        "SIGNALIST_LOG_LEVEL": "WARNING",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.push_server", f"{sockets}", str(folder), f"{BYTES}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        ready = json.loads(server.stdout.readline())
        reader = Reader(("127.0.0.1", ready["port"]))
        for way, path in (("plain", "/plain/"), ("ours", "/live/?regions=benchmark")):
            for n, session in enumerate(ready["sessions"]):
                reader.connect(way, path, session)
                if n % 50 == 0:
                    reader.read(0)
        _until(reader, sockets, 10.0)  # what each page is sent when it connects
        timed: dict[str, list[float]] = {way: [] for way in WAYS}
        for n in range(pushes + 2):
            for way in WAYS:
                reader.taken.clear()
                server.stdin.write(f"{way}\n".encode())
                server.stdin.flush()
                _until(reader, sockets, 10.0)
                if n > 1:  # the first ones warm up
                    timed[way] += [nanoseconds / 1e6 for _, _, nanoseconds in reader.taken]
                _rest(reader, PAUSE)
    finally:
        server.kill()
        server.wait()
    figures = {way: _figures(values, sockets * pushes) for way, values in timed.items()}
    faster = round(figures["plain"]["p99_ms"] / figures["direct"]["p99_ms"], 2)
    return {"sockets": sockets, "pushes": pushes, "bytes": BYTES, "times_faster": faster, **figures}


def _until(reader: Reader, wanted: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while len(reader.taken) < wanted and time.monotonic() < deadline:
        reader.read(0.05)
    if len(reader.taken) < wanted:
        raise SystemExit(f"Only {len(reader.taken)} of {wanted} sockets got the push.")


def _rest(reader: Reader, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reader.read(0.05)


def _figures(values: list[float], wanted: int) -> dict[str, float]:
    ordered = sorted(values)
    assert len(ordered) == wanted, f"{len(ordered)} deliveries of {wanted}"
    return {
        "p50_ms": round(median(ordered), 1),
        "p99_ms": round(ordered[int(0.99 * len(ordered))], 1),
        "worst_ms": round(ordered[-1], 1),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
