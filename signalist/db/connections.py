"""What each new database connection is given: on SQLite the DECIMAL collation that orders exact decimals as numbers, and aware times."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_WITHIN = 3000
"""Milliseconds: half of what a unit may take before its engine is taken to hang."""
STILL_FOR = 6000
"""Milliseconds: when a unit is taken to hang, others have its engine's accounts. It holds none of their rows longer."""


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
    """Bound on PostgreSQL, for coming connections of this process, how long a lock is waited for, and how long a transaction stands still.

    A lock that is not to be had raises OperationalError. A process that is frozen in a transaction loses it, and its locks, to whoever
    waits; should it go on, its next statement raises InternalError or OperationalError.
    """
    if connections[using].vendor == "postgresql":
        _set(using, f"-c lock_timeout={LOCK_WITHIN} -c idle_in_transaction_session_timeout={STILL_FOR}")


def _set(using: str, more: str) -> None:
    options = connections.settings[using]["OPTIONS"]
    options["options"] = f"{options.get('options', '')} {more}".strip()
    connections[using].close()
