"""The linker: gives each entry its place in the chain of its tenant, in batches, within seconds of its commit.

One links at a time: on PostgreSQL whoever has the advisory lock of the transaction, which ends with the transaction however that
ends, on SQLite the one writer. Two could not link the same number anyway, because a number is unique in its chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, connection, models, transaction

from signalist.audit.chain import BEGINNING, hash_of
from signalist.audit.models import Entry, Head, Link
from signalist.clock import monotonic

AT_ONCE = 500
# Ids are drawn before they are committed, so a transaction may bring in an entry behind later ones; none lasts for so many, and every
# few minutes all entries are looked at.
BEHIND = 1000
LOOK_AT_ALL_EVERY = 600.0
_LOCK = 5_142_001  # any number that nothing else in this database locks


class Linker:
    """Remembers how far it has come, so that a look at a long log costs no more than one at a short one."""

    def __init__(self) -> None:
        self._since = 0
        self._look_at_all_at = 0.0
        self.broken: list[int | None] = []

    def link(self, now: datetime) -> int:
        """Link a batch of what waits; how many were linked. Needs the door across tenants.

        A chain that somebody has tampered with so that it cannot go on stands in `broken`, and the others go on: however many entries of
        it wait, they are left out until all entries are looked at again.
        """
        if monotonic() >= self._look_at_all_at:
            self._since, self._look_at_all_at, self.broken = 0, monotonic() + LOOK_AT_ALL_EVERY, []
        if not self._waiting().exists():  # the look costs no lock
            return 0
        with transaction.atomic():
            if not _mine():
                return 0
            found = list(self._waiting().order_by("pk")[:AT_ONCE])
            linked = self._write(found, now)
        if len(found) < AT_ONCE:
            self._since = max(self._since, found[-1].pk - BEHIND if found else 0)
        return linked

    def _write(self, entries: Sequence[Entry], now: datetime) -> int:
        try:
            with transaction.atomic():
                return _linked(entries, now)
        except IntegrityError:
            tenants = sorted({entry.tenant_id for entry in entries}, key=lambda tenant_id: tenant_id or 0)
            return sum(self._write_chain(tenant_id, entries, now) for tenant_id in tenants)

    def _write_chain(self, tenant_id: int | None, entries: Sequence[Entry], now: datetime) -> int:
        try:
            with transaction.atomic():
                return _linked([entry for entry in entries if entry.tenant_id == tenant_id], now)
        except IntegrityError:
            self.broken = [*self.broken, tenant_id]  # whoever holds the list of before sees the difference
            return 0

    def _waiting(self) -> models.QuerySet[Entry]:
        linked = Link.objects.filter(entry_id=models.OuterRef("pk"))
        waiting = Entry.objects.filter(~models.Exists(linked), pk__gt=self._since)
        if None in self.broken:
            waiting = waiting.exclude(tenant_id__isnull=True)
        left_out = [tenant_id for tenant_id in self.broken if tenant_id is not None]
        return waiting.exclude(tenant_id__isnull=False, tenant_id__in=left_out) if left_out else waiting


def _mine() -> bool:
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s::bigint)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _linked(entries: Sequence[Entry], now: datetime) -> int:
    """Write the links of `entries` and move their heads on: five statements, however many they are."""
    heads = _heads({entry.tenant_id for entry in entries})
    links = []
    for entry in entries:
        head = heads[entry.tenant_id]
        previous, head.number = head.hash, head.number + 1
        head.hash = hash_of(entry, head.number, previous)
        links.append(
            Link(
                tenant_id=entry.tenant_id,
                number=head.number,
                entry_id=entry.pk,
                previous=previous,
                hash=head.hash,
                linked_at=now,
            )
        )
    Link.objects.bulk_create(links)
    Head.objects.bulk_create([head for head in heads.values() if head.pk is None])
    Head.objects.bulk_update([head for head in heads.values() if head.pk is not None], ["number", "hash"])
    return len(links)


def _heads(tenants: set[int | None]) -> dict[int | None, Head]:
    """The heads of these chains; a chain without one begins, or goes on behind its last link where somebody has taken the head."""
    wanted = models.Q(tenant_id__in=tenants - {None})
    if None in tenants:
        wanted |= models.Q(tenant_id=None)
    found = {head.tenant_id: head for head in Head.objects.filter(wanted)}
    for tenant_id in tenants - found.keys():
        last = Link.objects.filter(tenant_id=tenant_id).order_by("-number").first()
        found[tenant_id] = Head(
            tenant_id=tenant_id, number=last.number if last else 0, hash=last.hash if last else BEGINNING
        )
    return found
