"""The guard on every connection: no statement on a tenant table without a door, and the database is told which door it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.doors import Door, OutsideTenant, ShutToWriting, announce, current, is_only_looking
from tenants.roles import ENGINE, KEYHOLDING

_IDLE = 0  # psycopg's TransactionStatus: no transaction has begun yet
_ABOUT_TABLES = "CREATE ALTER DROP COMMENT PRAGMA GRANT REVOKE VACUUM ANALYZE REINDEX"


def attach(sender: object, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Put the guard on a new connection (receiver of `connection_created`)."""
    if guarded not in connection.execute_wrappers:
        connection.execute_wrappers.append(guarded)


def guarded(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute wrapper: refuse or announce, then run the statement."""
    door, connection = current(), context["connection"]
    if door is None:
        if tenant_statement().search(sql):
            raise OutsideTenant(
                f"This statement touches tenant data outside acting_for and across_tenants: {sql[:120]}"
            )
        return execute(sql, params, many, context)
    if is_only_looking() and writing().match(sql) and tenant_statement().search(sql):
        raise ShutToWriting("Nothing can be changed from here: this is a look at somebody else's workspace.")
    if _is_to_announce(connection, door):
        raw = connection.connection
        if raw.autocommit and tenant_statement().search(sql):
            # The announcement ends with its transaction, so a statement that would stand alone gets one around it.
            with raw.transaction():
                announce(connection, door)
                return execute(sql, params, many, context)
        if not raw.autocommit and raw.info.transaction_status == _IDLE:
            announce(connection, door)
    return execute(sql, params, many, context)


def has_nothing_to_do(connection: BaseDatabaseWrapper) -> bool:
    """Whether `guarded` would only pass statements on: a door is open for reading and writing, and the database need not be told which."""
    door = current()
    return door is not None and not is_only_looking() and not _is_to_announce(connection, door)


def _is_to_announce(connection: BaseDatabaseWrapper, door: Door) -> bool:
    """Whether the database asks who is behind the door: PostgreSQL does, unless the engine's role goes across on its own errands."""
    return connection.vendor == "postgresql" and not (
        bool(door.purpose) and door.purpose not in KEYHOLDING and _is_engine(connection)
    )


def _is_engine(connection: BaseDatabaseWrapper) -> bool:
    """Whether the engine's role is in force, whose policies ask for no setting when it goes across tenants."""
    return bool(connection.settings_dict["OPTIONS"].get("assume_role") == ENGINE)


@cache
def writing() -> re.Pattern[str]:
    """Matches a statement that changes rows, or may (what begins with WITH is read to its end)."""
    return re.compile(
        r"\s*(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|TRUNCATE|WITH\b.*\b(?:INSERT|UPDATE|DELETE)\b)", re.I | re.S
    )


@cache
def tenant_statement() -> re.Pattern[str]:
    """Matches a statement that names a tenant table, unless it is about the table itself and not about its rows."""
    from tenants.rls import tenant_models

    tables = "|".join(sorted(re.escape(model._meta.db_table) for model in tenant_models(apps)))
    about_tables = "|".join(_ABOUT_TABLES.split())
    return re.compile(rf"^(?!\s*(?:{about_tables})\b).*\b(?:{tables})\b", re.IGNORECASE | re.DOTALL)
