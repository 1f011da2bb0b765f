"""Rotation of the keys that seal credentials and second factors: in batches, resumable at any moment, while everything goes on.

There is nothing to remember between two runs: the rows say under which key they are sealed. Every key of the ring opens, so whoever
reads a credential while it is sealed anew finds the old form or the new one, and opens either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from django.db.models import Count

from signalist.clock import monotonic
from signalist.db import fast
from signalist.logs import logger
from tenants import second_factors
from tenants.doors import across_tenants
from tenants.models import Credential
from tenants.roles import KEY_ROTATION
from tenants.second_factors import Factors
from tenants.vault import CannotUnseal, key_versions, newest_key, reseal

log = logger(__name__)

BATCH = 200
"""Credentials that are sealed anew in one transaction: two statements."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many credentials each key seals. `missing` versions are in no ring: what they seal does not open.

    `factors`: the same of second factors, which the signing key seals.
    """

    newest: int
    sealed: dict[int, int]
    ring: tuple[int, ...]
    factors: Factors

    @property
    def total(self) -> int:
        return sum(self.sealed.values())

    @property
    def left(self) -> int:
        """Credentials under an older key."""
        return self.total - self.sealed.get(self.newest, 0)

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(version for version in sorted(self.sealed) if version not in self.ring)

    @property
    def retirable(self) -> tuple[int, ...]:
        """Older versions that seal nothing any more: they may be taken out of the ring."""
        return tuple(version for version in self.ring if version != self.newest and not self.sealed.get(version))


@dataclass(slots=True)
class Rotated:
    """What a run did. `failed` are the public ids of credentials that did not open, and why; `factors` the second factors sealed anew."""

    done: int = 0
    factors: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    is_over: bool = True


def standing() -> Standing:
    """How far the rotation is. Two queries."""
    with across_tenants(KEY_ROTATION, one_transaction=True):
        counts = Credential.objects.order_by().values_list("key_version").annotate(Count("id"))
        return Standing(newest_key(), dict(counts), key_versions(), second_factors.standing())


def rotate(
    progress: Callable[[int], None] = lambda done: None, *, seconds: float | None = None, batch: int = BATCH
) -> Rotated:
    """Seal everything under the newest key, for at most so many seconds (None: until it is done); `progress` hears of each batch.

    Second factors come last. A credential that does not open stays as it is and is named. Two runs at once do each part of it.
    """
    rotated, after, until = Rotated(), 0, None if seconds is None else monotonic() + seconds
    while True:
        found, last = _batch(after, batch, rotated)
        if not found:
            rotated.factors = second_factors.reseal()
            return rotated
        after = last
        progress(rotated.done)
        if until is not None and monotonic() >= until:
            rotated.is_over = False
            return rotated


def _batch(after: int, size: int, rotated: Rotated) -> tuple[int, int]:
    """Seal the next ones behind the primary key `after`; how many were looked at, and the last of them."""
    with across_tenants(KEY_ROTATION, one_transaction=True):
        older = Credential.objects.filter(key_version__lt=newest_key(), pk__gt=after).order_by("pk")
        rows = list(older.select_for_update(of=("self",))[:size])
        sealed = []
        for row in rows:
            try:
                if reseal(row):
                    sealed.append(row)
            except CannotUnseal as error:
                rotated.failed[str(row.public_id)] = str(error)
                log.error("credential_not_resealed", credential=str(row.public_id), why=str(error))
        if sealed:
            fast.update(sealed, ("sealed", "key_version"))
        rotated.done += len(sealed)
    return len(rows), rows[-1].pk if rows else after
