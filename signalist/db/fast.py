"""Reading and writing rows in bulk without compiling a query each time; for the stages, which run the same few statements all day.

The statements are plain SQL that both databases take; rows come back as ordinary model instances with every column set. Values
pass through the fields' own conversions, so an exact decimal or an aware time is the same as through the ORM. The tenants'
guard sees these statements like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import Col

M = TypeVar("M", bound=models.Model)

_Convert = Callable[[Any], Any]
# SQLite's default limit of variables in a statement is 32,766; a batch stays far below with any of our tables.
_ROWS_AT_ONCE = 200


def select(model: type[M], condition: str, parameters: Sequence[Any] = (), *, lock: str = "") -> list[M]:
    """The rows of `model` that meet `condition` (SQL after WHERE, with ORDER BY where order matters).

    `lock`: "" none, "update" locks the rows, "skip" also passes over rows that others have locked; nothing on SQLite, whose one
    writer holds the whole database.
    """
    statement = f"{_selection(model)} WHERE {condition}{_lock(lock)}"
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found = cursor.fetchall()
    names, conversions = _columns(model, connection.vendor)
    rows = []
    for values in found:
        row = list(values)
        for index, convert in conversions:
            if row[index] is not None:
                row[index] = convert(row[index])
        rows.append(model.from_db("default", names, row))
    return rows


def select_ids(model: type[M], ids: Sequence[Any], condition: str = "", *, column: str = "id", lock: str = "") -> list[M]:
    """The rows whose `column` is one of `ids`, in order of the primary key."""
    if not ids:
        return []
    marks = ", ".join(["%s"] * len(ids))
    more = f" AND {condition}" if condition else ""
    return select(model, f'"{column}" IN ({marks}){more} ORDER BY "id"', list(ids), lock=lock)


def tuples(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a plain statement, as the driver gives them."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def insert(rows: Sequence[M], *, conflict: str = "", returning: bool = False) -> None:
    """INSERT `rows` (all of one model). With `returning` they get their primary keys; `conflict` is an ON CONFLICT clause."""
    for row in rows:
        if (check := getattr(row, "check_owner", None)) is not None:
            check()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        _insert(rows[start : start + _ROWS_AT_ONCE], conflict, returning)


def _insert(rows: Sequence[M], conflict: str, returning: bool) -> None:
    head, marks, fields = _insertion(type(rows[0]))
    statement = f"{head} VALUES {', '.join([marks] * len(rows))} {conflict}"
    parameters = [f.get_db_prep_save(getattr(row, f.attname), connection) for row in rows for f in fields]
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} RETURNING id" if returning else statement, parameters)
        if returning:
            for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
                row.pk = key
                row._state.adding = False


def update(rows: Sequence[M], names: Sequence[str], key: str = "id") -> None:
    """UPDATE each of `rows` (all of one model) in the columns of the fields `names`, found by the unique field `key`."""
    if not rows:
        return
    statement, fields = _updating(type(rows[0]), tuple(names), key)
    values = [[field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)


def execute(statement: str, parameters: Sequence[Any]) -> int:
    """Run a writing statement; returns how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def prepared(model: type[models.Model], name: str, value: Any) -> Any:
    """`value` as the column of field `name` takes it."""
    return model._meta.get_field(name).get_db_prep_save(value, connection)  # type: ignore[union-attr]


def _lock(kind: str) -> str:
    if not kind or connection.vendor != "postgresql":
        return ""
    return " FOR UPDATE SKIP LOCKED" if kind == "skip" else " FOR UPDATE"


@cache
def _selection(model: type[models.Model]) -> str:
    columns = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)
    return f'SELECT {columns} FROM "{model._meta.db_table}"'


@cache
def _columns(model: type[models.Model], vendor: str) -> tuple[list[str], list[tuple[int, _Convert]]]:
    """The attribute names in the order of the columns, and the conversion of each column that needs one."""
    names, conversions = [], []
    for index, field in enumerate(model._meta.concrete_fields):
        names.append(field.attname)
        column = Col(model._meta.db_table, field)
        steps = [*connection.ops.get_db_converters(column), *field.get_db_converters(connection)]
        if steps:
            conversions.append((index, _conversion(steps, column)))
    return names, conversions


def _conversion(steps: Sequence[Callable[..., Any]], column: Col) -> _Convert:
    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return convert


@cache
def _insertion(model: type[models.Model]) -> tuple[str, str, list[Any]]:
    # A column that the database fills by itself (an auto id, a default in the schema) is left to it.
    own = models.NOT_PROVIDED
    fields = [
        f
        for f in model._meta.concrete_fields
        if not isinstance(f, models.AutoField) and getattr(f, "db_default", own) is own
    ]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    return f'INSERT INTO "{model._meta.db_table}" ({columns})', f"({marks})", fields


@cache
def _updating(model: type[models.Model], names: tuple[str, ...], key: str) -> tuple[str, list[Any]]:
    fields: list[Any] = [model._meta.get_field(name) for name in (*names, key)]
    columns = ", ".join(f'"{field.column}" = %s' for field in fields[:-1])
    return f'UPDATE "{model._meta.db_table}" SET {columns} WHERE "{fields[-1].column}" = %s', fields
