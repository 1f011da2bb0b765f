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


def main(grace: float, command: list[str]) -> int:
    """Run `command` to its end; the exit status, 128 and the signal's number where it was killed."""
    wakened, waken = os.pipe()
    os.set_blocking(waken, False)
    signal.set_wakeup_fd(waken, warn_on_full_buffer=False)
    asked = _Asked()
    for number in (*ASKED, signal.SIGCHLD):
        signal.signal(number, asked.by)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # what the supervisor was set up with
    while child.poll() is None and not asked.to_end:
        ready, _, _ = select.select([wakened, sys.stdin.fileno()], [], [])
        if wakened in ready:
            os.read(wakened, 512)
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 512):
            asked.to_end = asked.orphaned = True
    _end(child, grace)
    if asked.orphaned:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # ourselves too: there is nobody left to be told
    status = child.returncode
    return 128 - status if status < 0 else status


class _Asked:
    """What was asked of us."""

    def __init__(self) -> None:
        self.to_end = self.orphaned = False

    def by(self, number: int, frame: FrameType | None) -> None:
        """A signal came in."""
        self.to_end = self.to_end or number in ASKED


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    """Ask the child to end, and make it after `grace` seconds."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
