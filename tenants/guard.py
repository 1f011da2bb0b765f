"""The guard on every connection: no statement on a tenant table without a door, and the database is told which door it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.doors import OutsideTenant, current

_ANNOUNCE = (
    "SELECT set_config('app.tenant_id', %s, true), set_config('app.across', %s, true), set_config('app.user_id', %s, true)"
)


def attach(sender: object, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Put the guard on a new connection (receiver of `connection_created`)."""
    if guarded not in connection.execute_wrappers:
        connection.execute_wrappers.append(guarded)


def guarded(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute wrapper: refuse or announce, then run the statement."""
    door = current()
    if door is None:
        if tenant_statement().search(sql):
            raise OutsideTenant(f"This statement touches tenant data outside acting_for and across_tenants: {sql[:120]}")
    elif context["connection"].vendor == "postgresql":
        _announce(context["connection"].connection, door.tenant_id, door.purpose, door.user_id)
    return execute(sql, params, many, context)


def _announce(raw: Any, tenant_id: int | None, purpose: str, user_id: int | None) -> None:
    """Tell PostgreSQL at the first statement of a transaction; the setting ends with the transaction."""
    # 0 is psycopg's TransactionStatus.IDLE: no transaction has begun yet.
    if raw is not None and not raw.autocommit and raw.info.transaction_status == 0:
        raw.execute(_ANNOUNCE, [str(tenant_id or ""), purpose, str(user_id or "")])


@cache
def tenant_statement() -> re.Pattern[str]:
    """Matches a reading or writing statement that names a tenant table."""
    from tenants.rls import tenant_models

    tables = "|".join(sorted(re.escape(model._meta.db_table) for model in tenant_models(apps)))
    return re.compile(rf'^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b.*\b(?:{tables})\b', re.IGNORECASE | re.DOTALL)
