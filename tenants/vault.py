"""The one module that opens sealed secrets: AES-256-GCM, a fresh 12-byte nonce per value, in a `with`.

The associated data ties a ciphertext to its tenant, credential, field and key version, so that a value copied to another row,
field or tenant does not open. Keys come from `settings.CREDENTIAL_KEYS`; the newest seals, every listed one opens.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from tenants.models import Credential

NONCE_BYTES = 12


class CannotUnseal(Exception):
    """The secret cannot be opened: its key is not in the keyring, it was revoked, or it was tampered with."""


def seal(credential: Credential, secrets: Mapping[str, str]) -> None:
    """Put `secrets` into `credential` under the newest key, in place of what it held. The caller saves it."""
    keys: dict[int, bytes] = settings.CREDENTIAL_KEYS
    version = newest_key()
    cipher = AESGCM(keys[version])
    sealed = {}
    for field, secret in secrets.items():
        nonce = os.urandom(NONCE_BYTES)
        text = cipher.encrypt(nonce, secret.encode(), _associated(credential, field, version))
        sealed[field] = base64.b64encode(nonce + text).decode()
    credential.sealed, credential.key_version = sealed, version


def reseal(credential: Credential) -> bool:
    """Seal anew, under the newest key, what an older one sealed; whether that was to do. The caller saves it. Raises CannotUnseal.

    Unlike `unsealed` it opens what was deactivated, too: its key has to go as well.
    """
    if credential.key_version == newest_key():
        return False
    cipher = AESGCM(_key(credential.key_version))
    seal(credential, {field: _opened(cipher, credential, field, value) for field, value in credential.sealed.items()})
    return True


def newest_key() -> int:
    """The version that seals."""
    return max(settings.CREDENTIAL_KEYS)


def key_versions() -> tuple[int, ...]:
    """The versions in the keyring, the oldest first."""
    return tuple(sorted(settings.CREDENTIAL_KEYS))


def _key(version: int) -> bytes:
    key: bytes | None = settings.CREDENTIAL_KEYS.get(version)
    if key is None:
        raise CannotUnseal(f"Key version {version} is not in CREDENTIAL_KEYS; add it back to the keyring.")
    return key


@contextmanager
def unsealed(credential: Credential) -> Iterator[dict[str, str]]:
    """The secrets in clear for the length of the `with`. Raises CannotUnseal."""
    if not credential.is_active or credential.revoked_at is not None:
        raise CannotUnseal("The credential was revoked; connect the account again.")
    cipher = AESGCM(_key(credential.key_version))
    secrets = {field: _opened(cipher, credential, field, value) for field, value in credential.sealed.items()}
    try:
        yield secrets
    finally:
        secrets.clear()


def _opened(cipher: AESGCM, credential: Credential, field: str, value: str) -> str:
    try:
        raw = base64.b64decode(value, validate=True)
        clear = cipher.decrypt(
            raw[:NONCE_BYTES], raw[NONCE_BYTES:], _associated(credential, field, credential.key_version)
        )
    except (InvalidTag, ValueError, TypeError) as error:  # the last two: what is left is no base64, or no nonce
        raise CannotUnseal(
            f"The secret {field!r} does not belong to this credential or was changed; enter it again."
        ) from error
    return clear.decode()


def _associated(credential: Credential, field: str, version: int) -> bytes:
    return f"{credential.tenant_id}|{credential.public_id}|{field}|{version}".encode()
