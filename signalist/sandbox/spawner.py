"""The one thread that starts children.

A child asks the kernel to be killed when its parent dies, and for the kernel "the parent" is the thread that started it. Started from
a pool's thread, a child would be shot in the middle of a run when that thread is retired; this thread lasts as long as the process.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future

_Start = Callable[[], "subprocess.Popen[bytes]"]
_Wanted = tuple["Future[subprocess.Popen[bytes]]", _Start]


class _Spawner:
    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Have no thread yet: at first, and in a forked process (a worker of django-q), where it was left behind."""
        self._lock = threading.Lock()
        self._wanted: queue.SimpleQueue[_Wanted] | None = None

    def start(self, start: _Start) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()
        with self._lock:
            if self._wanted is None:
                self._wanted = queue.SimpleQueue()
                threading.Thread(target=_work, args=(self._wanted,), name="sandbox-spawner", daemon=True).start()
            self._wanted.put((future, start))
        return future.result()


def _work(wanted: queue.SimpleQueue[_Wanted]) -> None:
    while True:
        future, start = wanted.get()
        try:
            future.set_result(start())
        except BaseException as error:  # noqa: BLE001  # it is raised where the child was wanted; this thread lives on
            future.set_exception(error)


_spawner = _Spawner()
os.register_at_fork(after_in_child=_spawner.forget)


def start(make: _Start) -> subprocess.Popen[bytes]:
    """Run `make` (a call of Popen) in the lasting thread. Raises the OSError that it raises."""
    return _spawner.start(make)
