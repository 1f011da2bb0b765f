"""The base of every row that belongs to a tenant, and its manager."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Self, TypeVar

from django.db import models

from tenants.doors import OutsideTenant, required

M = TypeVar("M", bound=models.Model)


class TenantQuerySet(models.QuerySet[M]):
    """Refuses to create rows of another tenant than the one behind the door, and to hand rows to another."""

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        rows = list(objs)
        for row in rows:
            row.check_owner()  # type: ignore[attr-defined]
        return super().bulk_create(rows, *args, **kwargs)

    def update(self, **values: Any) -> int:
        door = required()
        for name in values.keys() & {"tenant", "tenant_id"}:
            if door.tenant_id is not None and getattr(values[name], "pk", values[name]) != door.tenant_id:
                raise OutsideTenant("A row cannot be handed to another tenant.")
        return super().update(**values)


class TenantManager(models.Manager[M]):
    """Only the rows behind the open door."""

    def get_queryset(self) -> TenantQuerySet[M]:
        door = required()
        rows: TenantQuerySet[M] = TenantQuerySet(self.model, using=self._db)
        if door.token:
            return rows.none()
        if door.user_id is not None:
            return rows.filter(user_id=door.user_id) if self.model._meta.label == "tenants.Membership" else rows.none()
        return rows if door.tenant_id is None else rows.filter(tenant_id=door.tenant_id)


class TenantRow(models.Model):
    """A row with a tenant. On PostgreSQL its table is under forced row-level security (see `tenants.rls`)."""

    tenant_policy: ClassVar[str] = "tenant_id = {tenant}"
    engine_policy: ClassVar[str] = "true"

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")

    objects: ClassVar[models.Manager[Self]] = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.check_owner()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self.check_owner()
        return super().delete(*args, **kwargs)

    def check_owner(self) -> None:
        """Raise OutsideTenant if this row belongs to another tenant than the one behind the door."""
        door = required()
        if door.tenant_id is not None and self.tenant_id != door.tenant_id:
            raise OutsideTenant("A row of another tenant cannot be written here.")
