"""Sharing a single account or strategy with a member, and taking it back; who may give what of theirs is decided here."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, cast

from django.db import transaction
from django.db.models import Model, Q
from guardian.shortcuts import assign_perm

from signalist.audit.writing import record
from tenants.doors import acting_for, viewing
from tenants.grants import Grant, kinds, table_of
from tenants.models import Membership
from tenants.permissions import permits


class NotShared(Exception):
    """A right to one thing is not given or taken; the words are for the person."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a thing's own page shows: the rights that are given to it, and to whom of the workspace which may be given."""

    kind: str
    public_id: uuid.UUID
    given: tuple[Grant, ...]
    members: tuple[Membership, ...]
    rights: tuple[Any, ...]


def may_share(membership: Membership, thing: Model) -> bool:
    """Whether the member may give rights to the thing: what has an author is the author's to share, everything else an administrator's."""
    if hasattr(thing, "author_id"):
        return bool(thing.author_id == membership.user_id) and permits(membership, "strategies.publish")
    return permits(membership, "members.change")


def sharing_of(membership: Membership, thing: Any) -> Sharing | None:
    """Of a thing, for whoever may share it; None for others. Two queries."""
    table = table_of(thing)
    if table is None or not may_share(membership, thing):
        return None
    with viewing(membership.tenant_id):
        given = table.objects.filter(content_object=thing).select_related("user", "permission", "content_object")
        people = Membership.objects.filter(is_active=True).exclude(pk=membership.pk).select_related("user")
        return Sharing(
            table.kind,
            thing.public_id,
            tuple(given.order_by("pk")),
            tuple(people.order_by("pk")),
            table.rights,
        )


def all_given(membership: Membership) -> list[Grant]:
    """Every right to a single thing that somebody in the workspace has: for who changes members; for others their own. A query each."""
    found: list[Grant] = []
    for table in kinds().values():
        rows = table.objects.select_related("user", "permission", "content_object").order_by("pk")
        found += rows if permits(membership, "members.change") else rows.filter(user_id=membership.user_id)
    return found


def share(by: Membership, thing: Any, user_id: uuid.UUID, right: str) -> Grant:
    """Give a member the right of that name to the thing. Raises NotShared. Whoever asks has been let in to the thing already."""
    table = table_of(thing)
    wanted = next((one for one in table.rights if one.name == right), None) if table is not None else None
    if wanted is None or not may_share(by, thing):
        raise NotShared("There is no such right to give here.")
    with acting_for(by.tenant_id), transaction.atomic():
        # Both locked, and looked at again: nothing is given to or by somebody who is being taken out.
        people = Membership.objects.select_for_update(of=("self",)).select_related("user").order_by("pk")
        both = Q(pk=by.pk) | Q(user__public_id=user_id)
        found = {row.user_id: row for row in people.filter(both, is_active=True)}
        giver = found.pop(by.user_id, None)
        if giver is None or not may_share(giver, thing):
            raise NotShared("There is no such right to give here.")
        member = next(iter(found.values()), None)
        if member is None:
            raise NotShared("Share it with another member of this workspace.")
        row: Any = assign_perm(wanted.codename, member.user, thing)
        row.given_by = by.user
        row.save(update_fields=["given_by"])
        _recorded("grant.given", by, row)
    return cast(Grant, row)


def take(by: Membership, row: Grant) -> None:
    """Take a right back: whoever may give it, and an administrator any. Raises NotShared."""
    if not (may_share(by, row.content_object) or permits(by, "members.change")):
        raise NotShared("Whoever shares it takes it back, or an administrator.")
    with acting_for(by.tenant_id), transaction.atomic():
        if type(row).objects.filter(pk=row.pk).delete()[0]:
            _recorded("grant.taken", by, row)


def _recorded(action: str, by: Membership, row: Grant) -> None:
    details = {row.kind: str(row.content_object.public_id), "right": row.right.name}
    record(action, tenant_id=by.tenant_id, user_id=by.user_id, target=str(row.user.public_id), details=details)
