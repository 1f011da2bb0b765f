"""Rights to a single thing, given to a single member beside their role: typed tables by django-guardian, each under row-level security.

Of guardian the tables, their manager and the query are used, and nothing that knows no workspaces: its generic tables stay empty and shut,
groups (which are everybody's) count for nothing, a superuser is a member like others, and there is no anonymous user. What stands here is
asked through `tenants.permissions.permits`, which alone decides.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.db import models
from guardian.managers import UserObjectPermissionManager
from guardian.models import UserObjectPermissionBase
from guardian.shortcuts import get_objects_for_user
from guardian.utils import get_user_obj_perms_model

from signalist.clock import utc_now
from tenants.doors import OutsideTenant, is_only_looking, required, viewing
from tenants.models import Membership
from tenants.rows import TenantManager, TenantRow


@dataclass(frozen=True, slots=True)
class Right:
    """What may be given: `codename` is the permission's in Django's table, `includes` the lines of the role table that it stands for."""

    name: str
    codename: str
    words: str
    includes: frozenset[str]


class GrantManager(TenantManager[Any], UserObjectPermissionManager):  # type: ignore[type-arg]  # guardian names none
    """Guardian's ways to give and take, behind the door of a workspace."""

    def get_or_create(self, defaults: Any = None, **wanted: Any) -> Any:
        return super().get_or_create(defaults, tenant_id=required().tenant_id, **wanted)


class Grant(TenantRow, UserObjectPermissionBase):
    """A right to one thing, `content_object`, of one member. A table for each kind of thing declares that key, `kind` and `rights`."""

    kind: ClassVar[str]
    rights: ClassVar[tuple[Right, ...]]

    if TYPE_CHECKING:
        content_object: Any

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    given_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    given_at = models.DateTimeField(default=utc_now)

    objects: ClassVar[GrantManager] = GrantManager()

    class Meta(TenantRow.Meta):
        abstract = True
        unique_together: ClassVar[list[list[str]]] = [["tenant", "user", "permission", "content_object"]]

    @property
    def right(self) -> Right:
        return next(right for right in self.rights if right.codename == self.permission.codename)

    def check_owner(self) -> None:
        """Raise OutsideTenant also for a thing of another workspace; things that belong to none may be named by each."""
        super().check_owner()
        if getattr(self.content_object, "tenant_id", self.tenant_id) != self.tenant_id:
            raise OutsideTenant("A right to a thing of another tenant cannot be given here.")


def kinds() -> dict[str, type[Grant]]:
    """The tables by what they are about."""
    return {model.kind: model for model in apps.get_models() if issubclass(model, Grant)}


def table_of(thing: models.Model | type[models.Model]) -> type[Grant] | None:
    """The table of rights to things like this one; None where there is none, rather than guardian's generic one."""
    found = get_user_obj_perms_model(thing)  # type: ignore[arg-type]  # it takes a class as well
    return found if issubclass(found, Grant) else None


def is_granted(membership: Membership, permission: str, thing: models.Model) -> bool:
    """Whether the member was given a right to this thing that includes the permission. One query."""
    rows = granted(membership, permission, type(thing)._default_manager)
    if rows is None:
        return False
    with viewing(membership.tenant_id):
        return bool(rows.filter(pk=thing.pk).exists())


def granted(membership: Membership, permission: str, rows: Any) -> Any | None:
    """Of these rows those that the member was given a right to; None where no right to such rows includes the permission."""
    model = rows.model
    table = table_of(model)
    codenames = _including(table, permission) if table is not None else ()
    if table is None or not codenames or not membership.is_active or is_only_looking():
        return None
    with viewing(membership.tenant_id):
        return get_objects_for_user(
            membership.user,
            [f"{model._meta.app_label}.{codename}" for codename in sorted(codenames)],
            rows,
            any_perm=True,
            use_groups=False,
            with_superuser=False,
            accept_global_perms=False,
        )


def end_all(membership: Membership) -> int:
    """Take every right that the member was given in the workspace, and those that they gave to what is theirs alone; how many it were."""
    ended = 0
    for table in kinds().values():
        theirs = models.Q(user_id=membership.user_id)
        if hasattr(table, "of_owner"):
            theirs |= table.of_owner(membership.user_id)
        ended += table.objects.filter(theirs).delete()[0]
    return ended


def _including(table: type[Grant], permission: str) -> Collection[str]:
    return {right.codename for right in table.rights if permission in right.includes}
