"""What each new database connection is given: on SQLite the DECIMAL collation that orders exact decimals as numbers, and aware times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_WITHIN = 3000
"""Milliseconds: half of what a unit may take before its engine is taken to hang."""
STILL_FOR = 6000
"""Milliseconds: when a unit is taken to hang, others have its engine's accounts. It holds none of their rows longer."""
STATEMENT_WITHIN = 6000
"""Milliseconds: nor is a statement awaited longer. One that works and is slow is tried again with more patience (`patient`)."""
CANCELED = "57014"
# Seconds, but for the last, in milliseconds: a line whose other end says nothing for so long is dead, though the network does not say so.
_ALIVE = {"keepalives_idle": 2, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": STILL_FOR}


def prepare(sender: object, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Register the collation and what reads times (receiver of `connection_created`)."""
    if connection.vendor == "sqlite":
        sqlite3.register_converter("datetime", aware)  # Django registers its own, of naive times, for the process too
        connection.connection.create_collation("DECIMAL", compare_decimal_texts)


@lru_cache(maxsize=8192)
def aware(stored: bytes) -> datetime:
    """A stored time, which is in UTC without saying so; Django takes aware ones as they are. Rows that are read together share most."""
    return datetime.fromisoformat(stored.decode()).replace(tzinfo=UTC)


def compare_decimal_texts(left: str, right: str) -> int:
    """-1, 0 or 1 as the numbers that two texts spell stand to each other."""
    a, b = Decimal(left), Decimal(right)
    return (a > b) - (a < b)


def no_waiting_for_disk(using: str = "default") -> None:
    """Let PostgreSQL answer a commit before it is on disk, for coming connections of a process whose work can be done again.

    A crash of the server may then lose the last commits, all of them after some moment and never one in between.
    """
    if connections[using].vendor != "postgresql":
        return
    _set(using, "-c synchronous_commit=off")


def no_waiting_for_ever(using: str = "default") -> None:
    """Bound on PostgreSQL, for coming connections of this process, how long it and its server wait for a lock, for a statement, for each
    other, and how long a transaction stands still.

    What takes longer raises OperationalError. A process that is frozen in a transaction loses it, and its locks, to whoever waits; should
    it go on, its next statement raises InternalError or OperationalError. A line that is dead is found out on either side.
    """
    if connections[using].vendor != "postgresql":
        return
    bounds = {
        "lock_timeout": LOCK_WITHIN,
        "statement_timeout": STATEMENT_WITHIN,
        "idle_in_transaction_session_timeout": STILL_FOR,
        "tcp_keepalives_idle": _ALIVE["keepalives_idle"],
        "tcp_keepalives_interval": _ALIVE["keepalives_interval"],
        "tcp_keepalives_count": _ALIVE["keepalives_count"],
        "tcp_user_timeout": _ALIVE["tcp_user_timeout"],
    }
    connections.settings[using]["OPTIONS"] |= _ALIVE
    _set(using, " ".join(f"-c {name}={value}" for name, value in bounds.items()))


@contextmanager
def patient(times: int, using: str = "default") -> Iterator[None]:
    """Within it statements may take so many times as long as `no_waiting_for_ever` lets them."""
    if times == 1:
        yield
        return
    with connections[using].cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {STATEMENT_WITHIN * times}")
    try:
        yield
    finally:
        # Where the connection broke there is nothing to set back: the next one begins with what is its own.
        with suppress(DatabaseError, InterfaceError), connections[using].cursor() as cursor:
            cursor.execute("RESET statement_timeout")


def took_too_long(error: BaseException) -> bool:
    """Whether this is what PostgreSQL says of a statement that it has ended because of the time it took."""
    return getattr(error.__cause__, "sqlstate", None) == CANCELED


def _set(using: str, more: str) -> None:
    options = connections.settings[using]["OPTIONS"]
    options["options"] = f"{options.get('options', '')} {more}".strip()
    connections[using].close()
