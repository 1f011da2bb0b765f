"""A mail server on loopback: as much of SMTP (RFC 5321) as a client needs to deliver, over a real socket."""

from __future__ import annotations

import email
import email.message
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_GREETED = {
    b"EHLO": b"250 loopback",
    b"HELO": b"250 loopback",
    b"MAIL": b"250 ok",
    b"RCPT": b"250 ok",
    b"RSET": b"250 ok",
}


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say(b"220 loopback")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                self._say(b"221 bye")
                return
            if verb == b"DATA":
                self._say(b"354 go on")
                self._take()
            else:
                self._say(_GREETED.get(verb, b"502 unknown"))

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.server.taken.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))  # type: ignore[attr-defined]
        self._say(b"250 taken")

    def _say(self, words: bytes) -> None:
        self.wfile.write(words + b"\r\n")


@contextmanager
def mail_server() -> Iterator[tuple[int, list[email.message.EmailMessage]]]:
    """Yield the port and the mails that were taken."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Conversation) as server:
        server.daemon_threads = True
        server.taken = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            yield server.server_address[1], server.taken  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()
