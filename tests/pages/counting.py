"""Counts what a page asks of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

_BOUNDS = ("SAVEPOINT", "RELEASE SAVEPOINT", "BEGIN", "COMMIT")


@contextmanager
def asks(number: int) -> Iterator[None]:
    """Fail unless exactly `number` statements run inside; the bounds of transactions are not counted, which differ by database."""
    with CaptureQueriesContext(connection) as captured:
        yield
    found = [query["sql"] for query in captured.captured_queries if not query["sql"].startswith(_BOUNDS)]
    assert len(found) == number, f"{len(found)} statements instead of {number}:\n" + "\n".join(found)
