"""Reading and writing rows in bulk without compiling a query each time; for the stages, which run the same few statements all day.

The statements are plain SQL that both databases take; rows come back as ordinary model instances with every column set. Values
pass through the fields' own conversions, so an exact decimal or an aware time is the same as through the ORM. The tenants'
guard sees these statements like any other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any, TypeVar

from django.db import connection, models, transaction

from signalist.db import columns as columns_of
from signalist.db import direct
from signalist.db.columns import Column, instance, on_postgresql, reads, values_of
from signalist.db.scope import visible

M = TypeVar("M", bound=models.Model)

# SQLite's default limit of variables in a statement is 32,766; a batch stays far below with any of our tables. PostgreSQL gets a document.
_ROWS_AT_ONCE = {False: 200, True: 1000}
new, relate, utc = columns_of.new, columns_of.relate, columns_of.utc
_NAMED = "NULLIF(current_setting('app.tenant_id', true), '')::bigint"


def select(model: type[M], condition: str, parameters: Sequence[Any] = (), *, lock: str = "") -> list[M]:
    """The rows of `model` that meet `condition` (SQL after WHERE, with ORDER BY where order matters).

    `lock`: "" none, "update" locks the rows, "skip" also passes over rows that others have locked; nothing on SQLite, whose one
    writer holds the whole database.
    """
    statement = f"{_selection(model)} {_seen(model)} WHERE {condition}{_lock(lock)}"
    found = direct.rows(statement, parameters, binary=True)
    names, conversions = reads(model)
    if not conversions:
        return [instance(model, names, values) for values in found]
    rows = []
    for values in found:
        row = list(values)
        for index, convert in conversions:
            if row[index] is not None:
                row[index] = convert(row[index])
        rows.append(instance(model, names, row))
    return rows


def _seen(model: type[models.Model]) -> str:
    """FROM what: the table, or the rows of it that the door shows.

    On PostgreSQL the policies see to that, but several of them are joined by OR, from which no index is found: a quiet tenant's read would
    walk everybody's rows. Named by the setting, the statement is the same for all tenants and stays prepared.
    """
    table = model._meta.db_table
    scope = visible(model, _NAMED if on_postgresql() else None)
    return f'FROM (SELECT * FROM "{table}" WHERE {scope}) AS "{table}"' if scope else f'FROM "{table}"'


def select_ids(
    model: type[M], ids: Sequence[Any], condition: str = "", *, column: str = "id", lock: str = ""
) -> list[M]:
    """The rows whose `column` is one of `ids`, in order of the primary key."""
    if not ids:
        return []
    chosen, parameters = among(column, ids)
    more = f" AND ({condition})" if condition else ""
    return select(model, f'{chosen}{more} ORDER BY "id"', parameters, lock=lock)


def among(column: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """The condition that `column` is one of `values`, and its parameters.

    PostgreSQL gets an array, so that the statement is the same whatever the number, and stays prepared. One of ids goes as a text: a list
    is written number by number, and has another type with each size of the largest, for which the statement is prepared anew.
    """
    if on_postgresql():
        ids = all(type(value) is int for value in values)
        return f'"{column}" = ANY(%s)', ["{" + ",".join(map(str, values)) + "}" if ids else list(values)]
    # As many marks as the next power of two, the last value repeated: a few texts, which stay prepared here too.
    several = list(values)
    several += several[-1:] * ((1 << (len(several) - 1).bit_length()) - len(several)) if several else []
    return f'"{column}" IN ({", ".join(["%s"] * len(several))})', several


def tuples(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a plain statement, as the driver gives them."""
    return direct.rows(statement, parameters)


def insert(rows: Sequence[M], *, conflict: str = "", returning: bool = False) -> None:
    """INSERT `rows` (all of one model). With `returning` they get their primary keys; `conflict` is what follows the VALUES."""
    _check_owners(rows)
    at_once = _ROWS_AT_ONCE[on_postgresql()]
    for start in range(0, len(rows), at_once):
        _insert(rows[start : start + at_once], conflict, returning)


@dataclass(frozen=True, slots=True)
class Insert:
    """Rows of one model to be inserted; `conflict` is what follows the VALUES. With `returning` they get their primary keys; at most one of
    the writes of a statement, the last, may ask for that."""

    rows: Sequence[models.Model]
    conflict: str = ""
    returning: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """Rows of one model to be updated in the fields `names`, found by the unique field `key`."""

    rows: Sequence[models.Model]
    names: Sequence[str]
    key: str = "id"


def write_together(*writes: Insert | Update) -> None:
    """Write all of it or nothing; on PostgreSQL by one statement, which spares a round trip for each write.

    No write sees what another one writes, and no row may be written twice.
    """
    wanted = [write for write in writes if write.rows]
    if len(wanted) == 1 and _is_one_statement(wanted[0]):
        _write(wanted[0])
    elif not on_postgresql() or any(len(write.rows) > _ROWS_AT_ONCE[True] for write in wanted):
        # Inside a unit without a savepoint: whoever goes on after an error has one of their own, as with the one statement.
        with transaction.atomic(savepoint=False):
            for write in wanted:
                _write(write)
    elif wanted:
        parts = [_part(write) for write in wanted]
        earlier = ", ".join(f"part_{n} AS ({statement})" for n, (statement, _) in enumerate(parts[:-1]))
        statement, documents = f"WITH {earlier} {parts[-1][0]}", [document for _, document in parts]
        last = wanted[-1]
        if isinstance(last, Insert) and last.returning:
            _take_keys(last.rows, direct.rows(statement, documents))
        else:
            direct.run(statement, documents)


def _is_one_statement(write: Insert | Update) -> bool:
    """Whether the database itself sees to it that all is written or nothing."""
    return len(write.rows) <= _ROWS_AT_ONCE[on_postgresql()] and (isinstance(write, Insert) or on_postgresql())


def _write(write: Insert | Update) -> None:
    if isinstance(write, Insert):
        insert(write.rows, conflict=write.conflict, returning=write.returning)
    else:
        update(write.rows, write.names, write.key)


def _part(write: Insert | Update) -> tuple[str, str]:
    """One write as a statement with one parameter, and that parameter."""
    _check_owners(write.rows)
    model = type(write.rows[0])
    if isinstance(write, Update):
        statement, fields = _updating_together(model, tuple(write.names), write.key)
        return statement, _document(write.rows, fields)
    head, _, fields = _insertion(model)
    source = f"SELECT {_names(fields)} FROM {_recordset(fields)}"
    tail = f"{write.conflict} RETURNING id" if write.returning else write.conflict
    return f"{head} {source} {tail}", _document(write.rows, fields)


def _check_owners(rows: Sequence[M]) -> None:
    """A row that knows whose it is refuses to be written through another's door."""
    for row in rows:
        if (check := getattr(row, "check_owner", None)) is not None:
            check()


def _insert(rows: Sequence[M], conflict: str, returning: bool) -> None:
    head, marks, fields = _insertion(type(rows[0]))
    tail = f"{conflict} RETURNING id" if returning else conflict
    parameters: list[Any]
    if on_postgresql():
        source = f"SELECT {_names(fields)} FROM {_recordset(fields)}"
        parameters = [_document(rows, fields)]
    else:
        source = f"VALUES {', '.join([marks] * len(rows))}"
        parameters = list(chain.from_iterable(values_of(rows, fields)))
    statement = f"{head} {source} {tail}"
    if not returning:
        direct.run(statement, parameters)
    else:
        _take_keys(rows, direct.rows(statement, parameters))


def _take_keys(rows: Sequence[models.Model], returned: Sequence[tuple[Any, ...]]) -> None:
    for row, (key,) in zip(rows, returned, strict=True):
        row.pk = key
        row._state.adding = False


def update(rows: Sequence[M], names: Sequence[str], key: str = "id") -> None:
    """UPDATE each of `rows` (all of one model) in the columns of the fields `names`, found by the unique field `key`."""
    if not rows:
        return
    _check_owners(rows)
    at_once = _ROWS_AT_ONCE[on_postgresql()]
    for start in range(0, len(rows), at_once):
        _update(rows[start : start + at_once], tuple(names), key)


def _update(rows: Sequence[M], names: tuple[str, ...], key: str) -> None:
    if on_postgresql():
        statement, fields = _updating_together(type(rows[0]), names, key)
        direct.run(statement, [_document(rows, fields)])
    else:
        statement, fields = _updating(type(rows[0]), names, key)
        scope = visible(type(rows[0]))
        statement += f" AND {scope}" if scope else ""
        direct.run_many(statement, list(values_of(rows, fields)))


def execute(statement: str, parameters: Sequence[Any]) -> int:
    """Run a writing statement; returns how many rows it touched."""
    return direct.run(statement, parameters)


def prepared(model: type[models.Model], name: str, value: Any) -> Any:
    """`value` as the column of field `name` takes it."""
    if type(value) is datetime and value.tzinfo is not None:
        return value if on_postgresql() else columns_of.naive_text(value)
    return model._meta.get_field(name).get_db_prep_save(value, connection)  # type: ignore[union-attr]


def _lock(kind: str) -> str:
    if not kind or not on_postgresql():
        return ""
    # Not against foreign keys: a row that is locked here may still be pointed to, as the fan-out does with accounts.
    return " FOR NO KEY UPDATE SKIP LOCKED" if kind == "skip" else " FOR NO KEY UPDATE"


@cache
def _selection(model: type[models.Model]) -> str:
    columns = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)
    return f"SELECT {columns}"


@cache
def _insertion(model: type[models.Model]) -> tuple[str, str, list[Column]]:
    # A column that the database fills by itself (an auto id, a default in the schema) is left to it.
    own = models.NOT_PROVIDED
    fields = [
        f
        for f in model._meta.concrete_fields
        if not isinstance(f, models.AutoField) and getattr(f, "db_default", own) is own
    ]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    return f'INSERT INTO "{model._meta.db_table}" ({columns})', f"({marks})", [Column.of(field) for field in fields]


@cache
def _updating(model: type[models.Model], names: tuple[str, ...], key: str) -> tuple[str, list[Column]]:
    fields = [Column.of(model._meta.get_field(name)) for name in (*names, key)]
    columns = ", ".join(f'"{field.column}" = %s' for field in fields[:-1])
    return f'UPDATE "{model._meta.db_table}" SET {columns} WHERE "{fields[-1].column}" = %s', fields


@cache
def _updating_together(model: type[models.Model], names: tuple[str, ...], key: str) -> tuple[str, list[Column]]:
    """As `_updating`, for all rows in one statement."""
    _, fields = _updating(model, names, key)
    setting = ", ".join(f'"{field.column}" = v."{field.column}"' for field in fields[:-1])
    table, found_by = model._meta.db_table, fields[-1].column
    return (
        f'UPDATE "{table}" SET {setting} FROM {_recordset(fields)} WHERE "{table}"."{found_by}" = v."{found_by}"',
        fields,
    )


# --- PostgreSQL takes many rows as one JSON document: one parameter, and one statement text for any number of rows, so that it stays
# prepared. Binding rows × columns one by one costs the client several times what the server needs to write them. Numbers go as
# strings, so no digit is lost.


def _names(fields: Sequence[Column]) -> str:
    return ", ".join(f'"{field.column}"' for field in fields)


def _recordset(fields: Sequence[Column]) -> str:
    columns = ", ".join(f'"{field.column}" {field.kind}' for field in fields)
    return f"json_to_recordset(%s::json) AS v ({columns})"


def _document(rows: Sequence[M], fields: Sequence[Column]) -> str:
    columns = [field.column for field in fields]
    return json.dumps([dict(zip(columns, values, strict=True)) for values in values_of(rows, fields)])
