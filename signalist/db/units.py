"""Units of work: the only way in which the pipeline commits, each with its marked failpoint behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connection, transaction

from signalist.failpoints import failpoint

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def unit(name: str) -> Iterator[None]:
    """One committed step of the pipeline; `<name>.committed` is the failpoint behind its commit."""
    with transaction.atomic():
        yield
    failpoint(f"{name}.committed")


def fresh_connection(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` after connections that died have been closed, so that a restarted database heals by itself."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        return function(*args, **kwargs)

    return run


def skip_locked() -> str:
    """The row lock that lets several engines share a queue; nothing where a single writer makes it needless."""
    return " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""


def locked(ids_query: str) -> str:
    """`ids_query` with a row lock where the database has them."""
    return f"{ids_query} FOR UPDATE" if connection.vendor == "postgresql" else ids_query
