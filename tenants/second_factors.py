"""Seals what makes an authenticator app's codes and the recovery codes: AES-256-GCM under the newest key of `CREDENTIAL_KEYS`.

The sealed form is `version:base64(nonce + ciphertext)`. A key may leave the keyring once `under_older_keys` counts nothing.
"""

from __future__ import annotations

import base64
import os

from allauth.mfa.models import Authenticator
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

NONCE_BYTES = 12
_FIELDS = ("secret", "seed")


class CannotOpen(Exception):
    """The key of a sealed second factor is not in the keyring, or the value was changed."""


def seal(text: str) -> str:
    """`text` under the newest key."""
    version = max(settings.CREDENTIAL_KEYS)
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(settings.CREDENTIAL_KEYS[version]).encrypt(nonce, text.encode(), _bound(version))
    return f"{version}:{base64.b64encode(nonce + sealed).decode()}"


def opened(sealed: str) -> str:
    """What `seal` was given. Raises CannotOpen."""
    version, _, value = sealed.partition(":")
    try:
        key = settings.CREDENTIAL_KEYS[int(version)]
        raw = base64.b64decode(value, validate=True)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(int(version))).decode()
    except (KeyError, ValueError, InvalidTag) as error:
        raise CannotOpen("A second factor cannot be opened: its key is missing or it was changed.") from error


def reseal() -> int:
    """Put all that is under older keys under the newest; how many rows that were. For the rotation of keys."""
    newest, changed = f"{max(settings.CREDENTIAL_KEYS)}:", 0
    for row in Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).order_by("pk").iterator():
        old = {name: row.data[name] for name in _FIELDS if name in row.data and not row.data[name].startswith(newest)}
        if old:
            row.data |= {name: seal(opened(value)) for name, value in old.items()}
            row.save(update_fields=["data"])
            changed += 1
    return changed


def _bound(version: int) -> bytes:
    return f"second-factor|{version}".encode()
