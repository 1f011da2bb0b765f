"""Rows that hardly ever change, kept in memory by id and read anew from time to time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from django.db import models

from signalist.clock import monotonic

M = TypeVar("M", bound=models.Model)

SECONDS = 60.0


class Kept(Generic[M]):
    """Rows by id as `read` gives them; what somebody changes is seen after a minute at the latest, or at once after `forget`."""

    def __init__(self, read: Callable[[list[int]], Iterable[M]]) -> None:
        self._read = read
        self._rows: dict[int, M] = {}
        self._since = monotonic()

    def of(self, ids: Iterable[int]) -> Mapping[int, M]:
        """The rows of `ids`, and any others that are known. At most one call of `read`."""
        if monotonic() - self._since > SECONDS:
            self.forget()
        # Whoever still works with what was given before keeps just that.
        rows = self._rows
        missing = sorted(set(ids) - rows.keys())
        if missing:
            rows.update({row.pk: row for row in self._read(missing)})
        return rows

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._rows, self._since = {}, monotonic()
