"""Keeps one process for a supervisor: run as a program of its own, with nothing but the standard library.

`keeper.py SECONDS COMMAND …` runs the command in its own group of processes and ends as it does. Its standard input is a pipe from the
supervisor. When that closes, because the supervisor is gone however it went, or at SIGTERM, the command is asked to end, and after
SECONDS its whole group is killed. So nothing outlives a supervisor that was killed, not even what the command has forked.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from types import FrameType

ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SHORTEST = 0.001  # of nothing at all, a timer would make that it never rings


def main(grace: float, command: list[str]) -> int:
    """Run `command` to its end; the exit status, 128 and the signal's number where it was killed."""
    wakened, waken = os.pipe()
    os.set_blocking(waken, False)
    signal.set_wakeup_fd(waken, warn_on_full_buffer=False)
    asked = _Asked(wakened)
    for number in (*ASKED, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, asked.by)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # what the supervisor was set up with
    while child.poll() is None and not asked.to_end:
        asked.wait()
    if child.poll() is None:
        child.terminate()
        signal.setitimer(signal.ITIMER_REAL, max(grace, SHORTEST))
    while child.poll() is None and not asked.too_late:
        asked.wait()
    child.kill()
    child.wait()
    asked.look()
    if asked.orphaned:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # ourselves too: there is nobody left to be told
    status = child.returncode
    return 128 - status if status < 0 else status


class _Asked:
    """What was asked of us, and whether there is still somebody to ask: the supervisor may be killed at any time, also in a stop."""

    def __init__(self, wakened: int) -> None:
        self._wakened = wakened
        self._heard = [wakened, sys.stdin.fileno()]
        self.to_end = self.orphaned = self.too_late = False

    def by(self, number: int, frame: FrameType | None) -> None:
        """A signal came in."""
        self.to_end = self.to_end or number in ASKED
        self.too_late = self.too_late or number == signal.SIGALRM

    def wait(self) -> None:
        """Wait for a signal, or for the supervisor to be gone."""
        self.look(None)

    def look(self, seconds: float | None = 0) -> None:
        """See whether the supervisor is there still; wait so long for that or for a signal."""
        ready, _, _ = select.select(self._heard, [], [], seconds)
        if self._wakened in ready:
            os.read(self._wakened, 512)
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 512):
            self._heard.remove(sys.stdin.fileno())
            self.to_end = self.orphaned = True


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
