"""Stages wake each other: a name rung in `on_commit` reaches the engine of this process; polls are the safety net."""

from __future__ import annotations

import threading

from django.db import transaction


class Wakes:
    """The stages that have been rung since they were last taken; rung from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung: set[str] = set()

    def ring(self, *stages: str) -> None:
        """Ask for these stages now."""
        with self._lock:
            self._rung.update(stages)

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

    def any(self) -> bool:
        """Whether any stage has been rung."""
        with self._lock:
            return bool(self._rung)


wakes = Wakes()


def ring_on_commit(*stages: str) -> None:
    """Ring the stages when the present transaction commits."""
    transaction.on_commit(lambda: wakes.ring(*stages))
