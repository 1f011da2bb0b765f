"""The triggers that make entries and links append-only, for whoever writes past us too.

On SQLite a later change of a table makes it anew and drops its triggers without a word, so they are made again after every
migration, and every process asserts at its start that they are there.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

LEDGERS = ("audit_entry", "audit_link")
_SAYS = "The audit log is append-only."
_FUNCTION = f"""CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{_SAYS}' USING ERRCODE = 'restrict_violation'; END $$"""


class Disarmed(RuntimeError):
    """The audit log could be rewritten: a trigger is missing."""


def _names(table: str, vendor: str) -> list[tuple[str, str]]:
    """The triggers of a table and what each forbids; SQLite knows no TRUNCATE, and deletes all rows as rows."""
    forbidden = ["UPDATE", "DELETE"] + (["TRUNCATE"] if vendor == "postgresql" else [])
    return [(f"{table}_no_{what.lower()}", what) for what in forbidden]


def arm(using: str = "default") -> None:
    """Make what is missing; safe to repeat."""
    connection = connections[using]
    with transaction.atomic(using), connection.cursor() as cursor:
        present = _present(connection, cursor)
        if connection.vendor == "postgresql" and len(present) < 6:
            cursor.execute(_FUNCTION)
        for table in LEDGERS:
            for name, what in _names(table, connection.vendor):
                if name not in present:
                    cursor.execute(_statement(connection.vendor, table, name, what))


def _statement(vendor: str, table: str, name: str, what: str) -> str:
    if vendor == "sqlite":
        return f"CREATE TRIGGER {name} BEFORE {what} ON {table} BEGIN SELECT RAISE(ABORT, '{_SAYS}'); END"
    # A statement that finds no row is refused as well: nobody has any business here.
    return f"CREATE TRIGGER {name} BEFORE {what} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"


def disarm(using: str = "default") -> None:
    """Take the triggers away: for tests, which empty every table."""
    connection = connections[using]
    with transaction.atomic(using), connection.cursor() as cursor:
        for table in LEDGERS:
            for name, _ in _names(table, connection.vendor):
                on = f" ON {table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")


def missing(using: str = "default") -> list[str]:
    """The triggers that are not there, or switched off."""
    connection = connections[using]
    with connection.cursor() as cursor:
        present = _present(connection, cursor)
    return [name for table in LEDGERS for name, _ in _names(table, connection.vendor) if name not in present]


def assert_armed(using: str = "default") -> None:
    """Raise Disarmed unless the log is append-only. For the start of a process."""
    if absent := missing(using):
        raise Disarmed(
            f"The audit log is not append-only: {', '.join(absent)} missing; run `manage.py migrate`, which makes them again."
        )


def _present(connection: BaseDatabaseWrapper, cursor: Any) -> set[str]:
    if connection.vendor == "sqlite":
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    else:
        # tgenabled is O where it fires as made; D is switched off.
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = ANY (SELECT to_regclass(t) FROM unnest(%s::text[]) AS t)"
            " AND tgenabled IN ('O', 'A')",
            [list(LEDGERS)],
        )
    return {row[0] for row in cursor.fetchall()}


def after_migrate(sender: Any, using: str, **kwargs: Any) -> None:
    """Receiver of `post_migrate`."""
    with connections[using].cursor() as cursor:
        tables = set(connections[using].introspection.table_names(cursor))
    if tables.issuperset(LEDGERS):
        arm(using)
