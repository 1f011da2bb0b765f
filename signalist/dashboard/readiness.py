"""Whether this web process can serve pages: its database answers, and has the tables that this code expects."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from signalist.logs import logger

log = logger(__name__)

# Reading all migrations from disk is dear and their answer lasts: a process's code does not change, and nobody unapplies them.
_migrated: set[str] = set()


def trouble() -> str | None:
    """The name of what keeps pages from being served (database, migrations), None where nothing does. One query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        if connection.alias not in _migrated:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "migrations"
            _migrated.add(connection.alias)
    except DatabaseError as error:
        log.warning("health_database_failed", error=type(error).__name__)
        return "database"
    return None


def forget() -> None:
    """Look at the migrations again next time."""
    _migrated.clear()
