"""A database that does not do what it is asked for a while: writing to one table fails as it does when a connection is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from tenants.doors import across_tenants

_MAKING = {
    "sqlite": ["CREATE TRIGGER outage BEFORE {what} ON {table} BEGIN SELECT 1 FROM nothing_of_that_name; END"],
    "postgresql": [
        """CREATE FUNCTION outage() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'an outage' USING ERRCODE = '40P01'; END $$""",
        "CREATE TRIGGER outage BEFORE {what} ON {table} FOR EACH ROW EXECUTE FUNCTION outage()",
    ],
}
_ENDING = {"sqlite": "DROP TRIGGER outage", "postgresql": "DROP FUNCTION outage() CASCADE"}


def begin(table: str, what: str) -> None:
    """From now on `what` (INSERT, UPDATE OF a column) on the table raises OperationalError."""
    for statement in _MAKING[connection.vendor]:
        _execute(statement.format(table=table, what=what))


def end() -> None:
    """The outage is over."""
    _execute(_ENDING[connection.vendor])


@contextmanager
def outage(table: str, what: str = "INSERT") -> Iterator[None]:
    """An outage that lasts as long as the block."""
    begin(table, what)
    try:
        yield
    finally:
        end()


@contextmanager
def protected(table: str) -> Iterator[None]:
    """The database lets no row of the table go, without a word, as a policy does."""
    if connection.vendor == "sqlite":
        _execute(f"CREATE TRIGGER outage BEFORE DELETE ON {table} BEGIN SELECT RAISE(IGNORE); END")
    else:
        _execute("CREATE FUNCTION outage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
        _execute(f"CREATE TRIGGER outage BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION outage()")
    try:
        yield
    finally:
        end()


def _execute(statement: str) -> None:
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute(statement)
