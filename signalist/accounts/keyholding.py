"""The secrets of the accounts that an engine holds: opened once for each lease, kept in memory for fifteen minutes at most.

A look is one statement while nothing has changed, so an engine can look several times a second: what was revoked, replaced or given to
another engine is dropped at the next look. Each opening is in the audit log. Nothing here is a repr, a log line or an exception.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
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
"""Seconds after which a secret is opened anew, if it is still to be had; and after which one that did not open is tried again."""

_HELD = """
    SELECT a.id, a.venue, a.venue_ref, c.id, c.sealed_at, c.key_version FROM accounts_account a
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
    key_version: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    door: Door
    until: float
    secrets: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look changed: doors that opened, that open with another secret from now on (or the same, opened anew), that closed; and
    credentials that do not open, with why: each is told once, until something else is sealed in it."""

    opened: tuple[Door, ...] = ()
    renewed: tuple[Door, ...] = ()
    closed: tuple[Door, ...] = ()
    broken: tuple[tuple[Credential, str], ...] = ()


_Seal = tuple[int, datetime, int]


def _seal(door: Door) -> _Seal:
    """What makes another try worth while: something else is sealed, or under another key."""
    return door.credential_id, door.sealed_at, door.key_version


class Keys:
    """What one engine keeps."""

    def __init__(self, kept: float = KEPT) -> None:
        self._for = kept
        self._kept: dict[int, _Kept] = {}
        self._by_ref: dict[tuple[str, str], _Kept] = {}
        self._broken: dict[_Seal, float] = {}
        """What did not open, and until when it is not tried again."""

    def __repr__(self) -> str:
        return f"Keys of {len(self._kept)} accounts"

    def secrets_of(self, venue: str, ref: str) -> Mapping[str, str]:
        """What opens the account. Raises NotOpened where there is nothing (any more)."""
        kept = self._by_ref.get((venue, ref))
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
        doors = [Door(key, venue, ref, row, fast.utc(at), version) for key, venue, ref, row, at, version in rows]
        stale = [door for door in doors if not self._is_fresh(door)]
        opened, why_not = self._opened([door for door in stale if monotonic() >= self._broken.get(_seal(door), 0.0)])
        # From here on nothing fails: whoever runs this again, because the database gave up, is told all that has changed.
        had = self._kept
        fresh = {door.account_id for door in doors} - {door.account_id for door in stale}
        self._keep({key: kept for key, kept in had.items() if key in fresh} | opened)
        return Look(
            opened=tuple(kept.door for key, kept in opened.items() if key not in had),
            renewed=tuple(kept.door for key, kept in opened.items() if key in had),
            closed=tuple(kept.door for key, kept in had.items() if key not in self._kept),
            broken=tuple(
                why_not[key] for key in self._remember([d for d in stale if d.account_id not in opened], why_not)
            ),
        )

    def _is_fresh(self, door: Door) -> bool:
        kept = self._kept.get(door.account_id)
        return kept is not None and kept.door == door and monotonic() < kept.until

    def _opened(self, doors: list[Door]) -> tuple[dict[int, _Kept], dict[int, tuple[Credential, str]]]:
        """These doors with their secrets, by account; and those credentials that do not open, and why, by key. Keeps nothing."""
        if not doors:
            return {}, {}
        rows = {row.pk: row for row in fast.select_ids(Credential, sorted({door.credential_id for door in doors}))}
        opened, used, broken = {}, {}, {}
        for door in doors:
            row = rows.get(door.credential_id)
            if row is None:  # deleted since it was looked for
                continue
            try:
                with unsealed(row) as secrets:
                    opened[door.account_id] = _Kept(door, monotonic() + self._for, dict(secrets))
                used[row.pk] = row
            except CannotUnseal as error:
                broken[row.pk] = (row, str(error))
        if used:
            with transaction.atomic():
                unsealed_by(used.values(), "trading")
        return opened, broken

    def _remember(self, shut: list[Door], tried: Collection[int]) -> list[int]:
        """Of these closed doors, those whose credential was tried just now are not tried again for a while. Which of them is news."""
        known, self._broken = self._broken, {}
        for door in shut:
            seal = _seal(door)
            if door.credential_id in tried:
                self._broken[seal] = monotonic() + self._for
            elif seal in known:
                self._broken[seal] = known[seal]
        return [seal[0] for seal in self._broken if seal not in known]

    def _keep(self, kept: dict[int, _Kept]) -> None:
        """Keep these and no others. Whole tables change places, because another thread reads them meanwhile."""
        self._kept = kept
        self._by_ref = {(one.door.venue, one.door.venue_ref): one for one in kept.values()}
