"""What each new database connection is given: on SQLite the DECIMAL collation that orders exact decimals as numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


def prepare(sender: object, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Register the collation (receiver of `connection_created`)."""
    if connection.vendor == "sqlite":
        connection.connection.create_collation("DECIMAL", compare_decimal_texts)


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
    options = connections.settings[using]["OPTIONS"]
    options["options"] = f"{options.get('options', '')} -c synchronous_commit=off".strip()
    connections[using].close()
