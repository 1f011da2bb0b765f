"""Marked places where a test may kill the process.

A failpoint stands behind every commit and around every venue call of the pipeline. It does nothing unless the environment names it:
`SIGNALIST_FAILPOINT=decide.committed` kills the process (SIGKILL) at its first passage, `decide.committed:7` at its seventh.
A simulation watches the passages instead, and ends what it simulates by raising.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ARMED, _, _NTH = os.environ.get("SIGNALIST_FAILPOINT", "").partition(":")
_LEFT = int(_NTH or "1")
_LOCK = threading.Lock()
_watch: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Die here, at once and without clean-up, when this is the armed place and its count is up."""
    global _LEFT
    if _watch is not None:
        _watch(name)
    if name != _ARMED:
        return
    with _LOCK:
        _LEFT -= 1
        if _LEFT == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def watched(by: Callable[[str], None]) -> Iterator[None]:
    """Have `by` called with the name at every passage of this process, from whichever thread it is; what it raises passes through."""
    global _watch
    before, _watch = _watch, by
    try:
        yield
    finally:
        _watch = before
