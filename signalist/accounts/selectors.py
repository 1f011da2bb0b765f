"""Reads of the keys of venues, as pages show them: never a secret, nor what it is sealed to."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from signalist.accounts.connectors import connectors
from signalist.accounts.models import Account
from tenants.models import Credential

ROTATE_AFTER = timedelta(days=90)
"""How old a key may become before its page asks for another."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An account that a key opens."""

    public_id: uuid.UUID
    name: str
    state: str
    state_reason: str


@dataclass(frozen=True, slots=True)
class Key:
    """A stored key. `rights` in words, "" where the venue does not tell them; `egress` is the address that the venue saw us come from."""

    public_id: uuid.UUID
    label: str
    venue: str
    venue_name: str
    is_served: bool
    validity: str
    invalid_why: str
    rights: str
    egress: str
    stored_at: datetime
    sealed_at: datetime
    checked_at: datetime | None
    unsealed_at: datetime | None
    revoked_at: datetime | None
    revoked_why: str
    is_overdue: bool
    fields: tuple[str, ...]
    accounts: tuple[Opened, ...]

    @property
    def state(self) -> str:
        """In a word: revoked, refused, valid, or not asked yet."""
        if self.revoked_at is not None:
            return "Revoked"
        return {"VALID": "Valid", "INVALID": "Refused by the venue"}.get(self.validity, "Not asked yet")

    @property
    def tone(self) -> str:
        """How the state is coloured."""
        if self.revoked_at is not None:
            return "idle"
        return {"VALID": "ok", "INVALID": "bad"}.get(self.validity, "warn")


def keys(now: datetime, *, revoked: bool = False) -> list[Key]:
    """The keys behind the open door by name, those in use or those that were revoked. Two queries."""
    return _shown(Credential.objects.filter(revoked_at__isnull=not revoked).order_by("venue", "label", "pk"), now)


def key(public_id: uuid.UUID, now: datetime) -> Key | None:
    """One of them."""
    return next(iter(_shown(Credential.objects.filter(public_id=public_id), now)), None)


def _shown(rows: QuerySet[Credential], now: datetime) -> list[Key]:
    found, served = list(rows), connectors()
    accounts: dict[int, list[Opened]] = defaultdict(list)
    for account in Account.objects.filter(credential__in=[row.pk for row in found]).order_by("name", "pk"):
        assert account.credential_id is not None
        opened = Opened(account.public_id, account.name, account.state, account.state_reason)
        accounts[account.credential_id].append(opened)
    return [
        _key(row, tuple(accounts[row.pk]), served[row.venue].name if row.venue in served else "", now) for row in found
    ]


def _key(row: Credential, accounts: tuple[Opened, ...], served_as: str, now: datetime) -> Key:
    return Key(
        public_id=row.public_id,
        label=row.label,
        venue=row.venue,
        venue_name=served_as or row.venue,
        is_served=bool(served_as),
        validity=row.validity,
        invalid_why=row.invalid_why,
        rights=", ".join(row.rights),
        egress=row.egress,
        stored_at=row.created_at,
        sealed_at=row.sealed_at,
        checked_at=row.checked_at,
        unsealed_at=row.unsealed_at,
        revoked_at=row.revoked_at,
        revoked_why=row.revoked_why,
        is_overdue=row.revoked_at is None and now - row.sealed_at > ROTATE_AFTER,
        fields=tuple(sorted(row.sealed)),
        accounts=accounts,
    )
