"""Units of work: the only way in which the pipeline commits, each with its marked failpoint behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from signalist.failpoints import failpoint


@contextmanager
def unit(name: str) -> Iterator[None]:
    """One committed step of the pipeline; `<name>.committed` is the failpoint behind its commit."""
    with transaction.atomic():
        yield
    failpoint(f"{name}.committed")


@contextmanager
def statement_unit(name: str) -> Iterator[None]:
    """A step that is one statement, which commits by itself; the same failpoint behind it."""
    yield
    failpoint(f"{name}.committed")
