"""The way of plain statements to the driver, by a cursor that is kept as long as its connection.

Where nobody watches the connection but the tenants' guard, and the guard has nothing to look at behind the open door, a statement goes
straight to the driver: the framework's own way there costs as much processor time as most of these statements. Errors are translated
as the framework does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from sqlite3 import Cursor as SqliteCursor
from typing import Any

from django.db.backends.sqlite3.base import FORMAT_QMARK_REGEX

from signalist.db import here
from signalist.db.columns import on_postgresql
from signalist.db.scope import is_trusted

_TEXT, _BINARY = 0, 1  # psycopg's Format
_BY_THE_GUARD_ALONE = 1


def rows(statement: str, parameters: Sequence[Any] = (), *, binary: bool = False) -> list[Any]:
    """Run a statement; what it returns. `binary`: by the driver's compiled readers on PostgreSQL, a third of the work of reading texts."""
    wrapper, cursor, straight = _way()
    raw = cursor.cursor
    if binary and on_postgresql():
        raw.format = _BINARY
    try:
        if not straight:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())
        with wrapper.wrap_database_errors:
            _execute(raw, statement, parameters)
            return raw.fetchall()  # type: ignore[no-any-return]
    finally:
        if binary and on_postgresql():
            raw.format = _TEXT


def run(statement: str, parameters: Sequence[Any]) -> int:
    """Run a writing statement; how many rows it touched."""
    wrapper, cursor, straight = _way()
    if not straight:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
    with wrapper.wrap_database_errors:
        _execute(cursor.cursor, statement, parameters)
    return int(cursor.cursor.rowcount)


def run_many(statement: str, parameters: Sequence[Sequence[Any]]) -> None:
    """Run a writing statement for each of these; for SQLite, where that costs no more than one."""
    wrapper, cursor, straight = _way()
    if not straight:
        cursor.executemany(statement, parameters)
        return
    with wrapper.wrap_database_errors:
        SqliteCursor.executemany(cursor.cursor, _marked(statement), parameters)


def _execute(raw: Any, statement: str, parameters: Sequence[Any]) -> None:
    if on_postgresql():
        raw.execute(statement, parameters)
    else:
        SqliteCursor.execute(raw, _marked(statement), parameters)


@lru_cache(maxsize=2000)
def _marked(statement: str) -> str:
    """The statement with SQLite's own marks for its parameters."""
    return str(FORMAT_QMARK_REGEX.sub("?", statement).replace("%%", "%"))


def _way() -> tuple[Any, Any, bool]:
    """The connection, its kept cursor, and whether the straight way is open: nothing notes statements, and no transaction is broken.

    Making a cursor anew for each statement costs more than many statements. Every use reads all its rows before the next.
    """
    wrapper = here.connection()
    if wrapper.queries_logged:
        return wrapper, wrapper.cursor(), False
    kept = wrapper.__dict__.get("kept_cursor")
    if kept is None or kept[0] is not wrapper.connection or kept[0] is None:
        cursor = wrapper.cursor()
        kept = wrapper.__dict__["kept_cursor"] = (wrapper.connection, cursor)
    straight = (
        len(wrapper.execute_wrappers) == _BY_THE_GUARD_ALONE and not wrapper.needs_rollback and is_trusted(wrapper)
    )
    return wrapper, kept[1], straight
