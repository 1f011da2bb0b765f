"""Whose rows plain statements may see: the floor below the tenants asks, the tenants' doors answer.

PostgreSQL's row-level security answers by itself; on SQLite the same rule has to be part of the statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models


class _Scope:
    """The function that tells which tenant is behind the open door; nobody until the tenants have come up."""

    tenant: Callable[[], int | None] = staticmethod(lambda: None)
    trusted: Callable[[Any], bool] = staticmethod(lambda connection: False)


def asks(tenant: Callable[[], int | None], trusted: Callable[[Any], bool]) -> None:
    """Have these asked from now on. `tenant`: the id of the one tenant behind the door, None where the door goes across or is shut;
    `trusted`: whether a door is open behind which a connection's guard has nothing to look at or to announce."""
    _Scope.tenant, _Scope.trusted = staticmethod(tenant), staticmethod(trusted)


def is_trusted(connection: Any) -> bool:
    """Whether statements on `connection` need not pass the tenants' guard now."""
    return _Scope.trusted(connection)


def tenant_behind_the_door() -> int | None:
    """The one tenant that rows may be written for now; None where the door goes across or is shut."""
    return _Scope.tenant()


def visible(model: type[models.Model], named: str | None = None) -> str:
    """The condition, as SQL, under which rows of `model` belong to the tenant behind the door; "" where every row does.

    `named`: the SQL that names the tenant; without it the statement holds the tenant's number.
    """
    policy = getattr(model, "tenant_policy", None)
    tenant = _Scope.tenant() if policy is not None else None
    return "" if tenant is None else f"({policy.format(tenant=named or int(tenant), user='NULL')})"  # type: ignore[union-attr]


class ScopedManager(models.Manager[Any]):
    """Behind the door of one tenant only the rows that its model's `tenant_policy` lets through."""

    def get_queryset(self) -> models.QuerySet[Any]:
        rows = super().get_queryset()
        scope = visible(self.model)
        return rows.extra(where=[scope]) if scope else rows  # noqa: S610 the condition is the model's own
