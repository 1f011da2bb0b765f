"""Write many changed rows back with one prepared statement; Django's bulk_update builds a CASE per column instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)


def update_rows(rows: Sequence[M], names: Sequence[str], key: str = "id") -> None:
    """UPDATE each of `rows` (all of one model) in the columns of the fields `names`, found by the unique field `key`."""
    if not rows:
        return
    meta = rows[0]._meta
    fields: list[Any] = [meta.get_field(name) for name in (*names, key)]
    columns = ", ".join(f'"{field.column}" = %s' for field in fields[:-1])
    statement = f'UPDATE "{meta.db_table}" SET {columns} WHERE "{fields[-1].column}" = %s'
    values = [[field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
