"""Takes over secrets of an older system: AES-256-GCM as `iv:tag:ciphertext` in hexadecimal, IVs of 16 bytes, no associated data.

Nothing is sealed in that form any more (it lets a value be copied from row to row): what opens is sealed anew at once.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenants.doors import across_tenants, acting_for
from tenants.models import Credential, Tenant
from tenants.vault import seal

KEY_BYTES, TAG_BYTES = 32, 16
IV_BYTES = (16, 12)


class CannotImport(ValueError):
    """What was given is not in the older form, or does not open; the message names no part of it."""


def legacy_key(text: str) -> bytes:
    """The older system's key: 64 hexadecimal characters, base64 of 32 bytes, or 32 characters as they are. Raises CannotImport."""
    for read in (bytes.fromhex, lambda value: base64.b64decode(value, validate=True), str.encode):
        try:
            key = read(text.strip())
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise CannotImport("The older system's key is none: it has 32 bytes, in hexadecimal, in base64 or as characters.")


def opened(value: str, key: bytes) -> str:
    """The clear text of one `iv:tag:ciphertext`. Raises CannotImport."""
    try:
        iv, tag, text = (bytes.fromhex(part) for part in value.split(":"))
    except (ValueError, AttributeError):
        raise CannotImport("A value is not three hexadecimal parts, iv:tag:ciphertext.") from None
    if len(iv) not in IV_BYTES or len(tag) != TAG_BYTES:
        raise CannotImport(
            f"A value has an IV of {len(iv)} and a tag of {len(tag)} bytes; 16 (or 12) and 16 are expected."
        )
    try:
        return AESGCM(key).decrypt(iv, text + tag, None).decode()
    except (InvalidTag, UnicodeDecodeError):
        raise CannotImport("A value does not open under this key, or was changed.") from None


@dataclass(frozen=True, slots=True)
class Legacy:
    """One credential of the older system, still sealed; `tenant` is the public id of the workspace that it goes to."""

    tenant: uuid.UUID
    venue: str
    label: str
    secrets: Mapping[str, str]

    @classmethod
    def of(cls, said: Any) -> Legacy:
        """From {"tenant", "venue", "label", "secrets": {field: "iv:tag:ciphertext"}}. Raises CannotImport."""
        try:
            secrets = {str(name): str(value) for name, value in said["secrets"].items()}
            found = cls(uuid.UUID(said["tenant"]), str(said["venue"])[:20], str(said["label"])[:100], secrets)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CannotImport("An entry is not {tenant, venue, label, secrets}.") from None
        if not (found.venue and found.label and found.secrets):
            raise CannotImport("An entry has no venue, no label or no secrets.")
        return found


@dataclass(slots=True)
class Imported:
    """What became of the entries, by `venue label`."""

    made: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def take_over(entries: Sequence[Legacy], key: bytes) -> Imported:
    """Store each entry under the newest key, a transaction for each workspace; what is there by that name already stays as it is."""
    done = Imported()
    for public_id, together in groupby(sorted(entries, key=lambda one: str(one.tenant)), lambda one: one.tenant):
        ours = list(together)
        with across_tenants("credential import"):
            tenant = Tenant.objects.filter(public_id=public_id).first()
        if tenant is None:
            done.failed |= {f"{one.venue} {one.label}": "There is no such workspace." for one in ours}
            continue
        with acting_for(tenant.pk):
            _store(tenant, ours, key, done)
    return done


def _store(tenant: Tenant, entries: Sequence[Legacy], key: bytes, done: Imported) -> None:
    there = set(Credential.objects.filter(revoked_at__isnull=True).values_list("venue", "label"))
    rows = []
    for one in entries:
        name = f"{one.venue} {one.label}"
        if (one.venue, one.label) in there:
            done.there.append(name)
            continue
        row = Credential(tenant=tenant, venue=one.venue, label=one.label)
        try:
            seal(row, {field: opened(value, key) for field, value in one.secrets.items()})
        except CannotImport as error:
            done.failed[name] = str(error)
            continue
        there.add((one.venue, one.label))
        rows.append(row)
        done.made.append(name)
    Credential.objects.bulk_create(rows)
