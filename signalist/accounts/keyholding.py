"""The secrets of the accounts that an engine holds: opened once for each lease, kept in memory for fifteen minutes at most.

A look is one statement while nothing has changed, so an engine can look several times a second: what was revoked, replaced or given to
another engine is dropped at the next look. Each opening is in the audit log. Nothing here is a repr, a log line or an exception.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from signalist.accounts.models import Account
from signalist.clock import monotonic
from signalist.db import fast
from signalist.venues.errors import NotOpened
from tenants.credentials import unsealed_by
from tenants.models import Credential
from tenants.vault import CannotUnseal, unsealed

KEPT = 900.0
"""Seconds after which a secret is opened anew, if it is still to be had."""

_HELD = """
    SELECT a.id, a.venue, a.venue_ref, c.id, c.sealed_at FROM accounts_account a
    JOIN tenants_credential c ON c.id = a.credential_id
    WHERE a.lease_owner = %s AND c.revoked_at IS NULL AND c.is_active ORDER BY a.id
"""


@dataclass(frozen=True, slots=True)
class Door:
    """An account as its venue knows it, with the credential that opens it."""

    account_id: int
    venue: str
    venue_ref: str
    credential_id: int
    sealed_at: datetime


@dataclass(slots=True)
class _Kept:
    door: Door
    until: float
    secrets: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look changed: doors that opened, that open with another secret from now on (or the same, opened anew), that closed; and
    credentials that do not open, with why."""

    opened: tuple[Door, ...] = ()
    renewed: tuple[Door, ...] = ()
    closed: tuple[Door, ...] = ()
    broken: tuple[tuple[Credential, str], ...] = ()


class Keys:
    """What one engine keeps."""

    def __init__(self, kept: float = KEPT) -> None:
        self._for = kept
        self._kept: dict[int, _Kept] = {}
        self._by_ref: dict[tuple[str, str], int] = {}

    def __repr__(self) -> str:
        return f"Keys of {len(self._kept)} accounts"

    def secrets_of(self, venue: str, ref: str) -> Mapping[str, str]:
        """What opens the account. Raises NotOpened where there is nothing (any more)."""
        kept = self._kept.get(self._by_ref.get((venue, ref), 0))
        if kept is None:
            raise NotOpened("There is no key for this account: it was revoked, or never connected.")
        return kept.secrets

    def holds(self, door: Door) -> bool:
        """Whether the account opens with exactly this."""
        kept = self._kept.get(door.account_id)
        return kept is not None and kept.door == door

    def doors(self) -> list[Door]:
        """The accounts that can be opened."""
        return [kept.door for kept in self._kept.values()]

    def look(self, engine: uuid.UUID) -> Look:
        """Bring what is kept in line with the rows: the accounts that this engine holds, and their credentials as they are now.

        A database function, behind the door across tenants.
        """
        rows = fast.tuples(_HELD, [fast.prepared(Account, "lease_owner", engine)])
        doors = [Door(key, venue, ref, credential, fast.utc(at)) for key, venue, ref, credential, at in rows]
        there = {door.account_id for door in doors}
        closed = tuple(kept.door for key, kept in self._kept.items() if key not in there)
        stale = [door for door in doors if not self._is_fresh(door)]
        had = {door.account_id for door in stale if door.account_id in self._kept}
        broken = self._open(stale)
        for door in closed:
            self._drop(door.account_id)
        held = [door for door in stale if door.account_id in self._kept]
        lost = tuple(door for door in stale if door.account_id in had and door.account_id not in self._kept)
        opened = tuple(door for door in held if door.account_id not in had)
        return Look(opened, tuple(door for door in held if door.account_id in had), closed + lost, tuple(broken))

    def _is_fresh(self, door: Door) -> bool:
        return self.holds(door) and monotonic() < self._kept[door.account_id].until

    def _open(self, doors: list[Door]) -> list[tuple[Credential, str]]:
        """Open the secrets of these doors; those that do not open, each once, and why."""
        if not doors:
            return []
        rows = {row.pk: row for row in fast.select_ids(Credential, sorted({door.credential_id for door in doors}))}
        used, broken = {}, {}
        for door in doors:
            self._drop(door.account_id)
            try:
                with unsealed(rows[door.credential_id]) as secrets:
                    self._kept[door.account_id] = _Kept(door, monotonic() + self._for, dict(secrets))
                self._by_ref[door.venue, door.venue_ref] = door.account_id
                used[door.credential_id] = rows[door.credential_id]
            except CannotUnseal as error:
                broken[door.credential_id] = (rows[door.credential_id], str(error))
        if used:
            with transaction.atomic():
                unsealed_by(used.values(), "trading")
        return list(broken.values())

    def _drop(self, account_id: int) -> None:
        kept = self._kept.pop(account_id, None)
        if kept is not None:
            self._by_ref.pop((kept.door.venue, kept.door.venue_ref), None)
            kept.secrets.clear()
