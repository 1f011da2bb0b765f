"""What becomes of a stored credential: kept under a name, replaced, renamed, revoked, and what its venue says of it.

Every change is written with its event, in the caller's transaction and behind the door of its tenant. No function here gives a secret out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.events.outbox import Fact, emit
from tenants.models import Credential, User, Validity
from tenants.vault import seal


class NameTaken(ValueError):
    """Another credential of that venue has the name."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a venue said of a key: its rights, and the address that it saw us come from."""

    rights: frozenset[str] = frozenset()
    seen_from: str = ""


@transaction.atomic
def store(
    tenant_id: int, venue: str, label: str, secrets: Mapping[str, str], said: Said, by: User | None
) -> Credential:
    """Seal and keep a credential that its venue has just accepted. Raises NameTaken."""
    row = Credential(tenant_id=tenant_id, venue=venue, label=label, created_by=by)
    seal(row, secrets)
    _accepted(row, said)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise NameTaken(f"There is a key called {label!r} at this venue already; choose another name.") from None
    _tell("credential_stored", row, by)
    return row


@transaction.atomic
def rename(credential: Credential, label: str, by: User) -> None:
    """Give it another name. Raises NameTaken."""
    row = _locked(credential)
    was, row.label = row.label, label
    if was == label:
        return
    try:
        with transaction.atomic():
            row.save(update_fields=["label"])
    except IntegrityError:
        raise NameTaken(f"There is a key called {label!r} at this venue already; choose another name.") from None
    credential.label = label
    _tell("credential_renamed", row, by, was=was)


@transaction.atomic
def replace(credential: Credential, secrets: Mapping[str, str], said: Said, by: User) -> None:
    """Put a new secret, which its venue has just accepted, in place of what was sealed. Whoever holds the old one drops it."""
    row = _locked(credential)
    seal(row, secrets)
    row.is_active, row.sealed_at = True, utc_now()
    _accepted(row, said)
    row.save()
    _tell("credential_replaced", row, by)


@transaction.atomic
def revoke(credential: Credential, why: str, by: User | None) -> bool:
    """Forget the secret for good; whether there was one to forget. The row stays, for what traded with it."""
    row = _locked(credential)
    if row.revoked_at is not None:
        return False
    row.sealed, row.is_active, row.revoked_at, row.revoked_why = {}, False, utc_now(), why[:200]
    row.save(update_fields=["sealed", "is_active", "revoked_at", "revoked_why"])
    credential.revoked_at = row.revoked_at
    _tell("credential_revoked", row, by, why=row.revoked_why)
    return True


@transaction.atomic
def checked(credential: Credential, said: Said) -> bool:
    """The venue has accepted the key; whether that is news (it was not known, or had been refused)."""
    row = _locked(credential)
    was, row.checked_at = row.validity, utc_now()
    _accepted(row, said)
    row.save(update_fields=["validity", "invalid_why", "checked_at", "rights", "egress"])
    if was == Validity.VALID or row.revoked_at is not None:
        return False
    _tell("credential_valid", row, None)
    return True


@transaction.atomic
def refused(credential: Credential, why: str) -> bool:
    """The venue has refused the key, or it does not open any more; whether that is news."""
    row = _locked(credential)
    was, row.validity, row.invalid_why, row.checked_at = row.validity, Validity.INVALID, why[:200], utc_now()
    row.save(update_fields=["validity", "invalid_why", "checked_at"])
    if was == Validity.INVALID:
        return False
    _tell("credential_invalid", row, None, why=row.invalid_why)
    return True


def unsealed_by(credentials: Iterable[Credential], purpose: str) -> None:
    """Note that somebody has opened these for a purpose: a row of the audit log each, and when it was."""
    rows, now = list(credentials), utc_now()
    Credential.objects.filter(pk__in=[row.pk for row in rows]).update(unsealed_at=now)
    for row in rows:
        audit("credential.unsealed", row, None, purpose=purpose)


def _accepted(row: Credential, said: Said) -> None:
    row.validity, row.invalid_why, row.checked_at = Validity.VALID, "", utc_now()
    row.rights, row.egress = sorted(said.rights), said.seen_from[:45]


def _locked(credential: Credential) -> Credential:
    return Credential.objects.select_for_update(of=("self",)).get(pk=credential.pk)


def _payload(row: Credential) -> dict[str, str]:
    return {"credential": str(row.public_id), "venue": row.venue, "label": row.label}


def _tell(kind: str, row: Credential, by: User | None, **more: str) -> None:
    who = "" if by is None else by.full_name or by.email
    emit([Fact(kind, row.tenant_id, utc_now(), _payload(row) | {"by": who} | more)])
    audit(kind.replace("_", ".", 1), row, by, **more)


def audit(action: str, row: Credential, by: User | None, **more: str) -> None:
    """Put it into the audit log, too: by whom, of which key, never what is in it."""
    record(
        action,
        tenant_id=row.tenant_id,
        user_id=None if by is None else by.pk,
        target=str(row.public_id),
        details={"venue": row.venue, "label": row.label} | more,
    )
