"""What each new database connection is given: on SQLite the DECIMAL collation that orders exact decimals as numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def prepare(sender: object, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Register the collation (receiver of `connection_created`)."""
    if connection.vendor == "sqlite":
        connection.connection.create_collation("DECIMAL", compare_decimal_texts)


def compare_decimal_texts(left: str, right: str) -> int:
    """-1, 0 or 1 as the numbers that two texts spell stand to each other."""
    a, b = Decimal(left), Decimal(right)
    return (a > b) - (a < b)
