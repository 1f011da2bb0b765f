"""The connection of the running thread, found once for a unit: the framework's search for it costs more than a short statement."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections


class _Held(threading.local):
    connection: Any = None


_held = _Held()


def connection() -> Any:
    """The connection of the running thread."""
    held = _held.connection
    return connections[DEFAULT_DB_ALIAS] if held is None else held


class Holding:
    """While this is open the thread's connection need not be searched for. What is inside must not await, nor change its thread."""

    __slots__ = ("_before",)

    def __enter__(self) -> Any:
        self._before = _held.connection
        _held.connection = found = connection()
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held.connection = self._before
