"""Stages wake each other: a name rung in `on_commit` reaches the engine of this process, and on PostgreSQL the others; polls are the
safety net.

Most of what a stage leaves to do is for the engine that holds the account, which is the one that rings: that stays in the process. What
may be another engine's (`everywhere`), and whatever a process without an engine rings, goes out as a NOTIFY of the same transaction, whose
payload is the stage's name and nothing else. The server folds equal ones of a transaction into one.
"""

from __future__ import annotations

import threading

from django.db import connection

from signalist.db import here

CHANNEL = "signalist_wakes"
STAGES = ("switches", "fan_out", "decide", "place", "protect", "measure", "look_up", "corrections")


class Wakes:
    """The stages that have been rung since they were last taken; rung from any thread.

    `driven`: whether an engine of this process takes them. `speaker` is the server's process through which this one spoke last: what that
    one notifies of, the engine has heard already.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung: set[str] = set()
        self._idle: set[str] = set()
        self.driven = False
        self.speaker = 0

    def ring(self, *stages: str) -> None:
        """Ask for these stages now."""
        with self._lock:
            self._rung.update(stages)

    def left(self, stage: str, *, waits: bool) -> None:
        """Note whether the stage, which has looked at everything just now, left something that waits for others."""
        with self._lock:
            (self._idle.discard if waits else self._idle.add)(stage)

    def free(self, *stages: str) -> None:
        """What these stages wait for may be there: ring those that are not known to wait for nothing."""
        with self._lock:
            self._rung.update(set(stages) - self._idle)

    def take(self, stage: str) -> bool:
        """Whether the stage was rung; it is no longer."""
        with self._lock:
            if stage in self._rung:
                self._rung.remove(stage)
                return True
            return False

    def clear(self) -> None:
        """Forget what was rung."""
        with self._lock:
            self._rung.clear()
            self._idle.clear()

    def any(self) -> bool:
        """Whether any stage has been rung."""
        with self._lock:
            return bool(self._rung)


wakes = Wakes()


def ring_on_commit(*stages: str, everywhere: bool = False) -> None:
    """Ring the stages when the present transaction commits; `everywhere`: for the engines of other processes as well."""
    here.connection().on_commit(lambda: wakes.ring(*stages))
    if (everywhere or not wakes.driven) and connection.vendor == "postgresql":
        _notify(stages)


def free_on_commit(*stages: str) -> None:
    """As `ring_on_commit`, for what is new to nobody and only what a stage has put off may go on by: one that waits for nothing, which
    would open a transaction to find nothing, is left alone. What waits for its time is found by the next ring, or the poll."""
    here.connection().on_commit(lambda: wakes.free(*stages))
    if not wakes.driven and connection.vendor == "postgresql":
        _notify(stages)


def _notify(stages: tuple[str, ...]) -> None:
    """Tell the server, which tells everybody who listens at the commit, and nobody after a rollback."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(['pg_notify(%s, %s)'] * len(stages))}", [v for s in stages for v in (CHANNEL, s)]
        )
    wakes.speaker = connection.connection.info.backend_pid
