"""Reads that an exit waits for, whatever adapter makes them: under the rate limits they go with what closes and protects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from signalist.venues.transport.budgets import Priority

_hurry: ContextVar[bool] = ContextVar("hurry", default=False)


@contextmanager
def hurried(really: bool = True) -> Iterator[None]:
    """Let what is asked within go at the priority of exits; with `really` false, at its own."""
    token = _hurry.set(really)
    try:
        yield
    finally:
        _hurry.reset(token)


def as_it_is(priority: Priority) -> Priority:
    """The priority of a request that would have this one."""
    return Priority.PROTECTION if priority is Priority.READ and _hurry.get() else priority
