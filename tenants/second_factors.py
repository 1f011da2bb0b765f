"""Seals what makes an authenticator app's codes and the recovery codes: AES-256-GCM under a key that is made of `SECRET_KEY`.

The sealed form is base64 of nonce and ciphertext. `SECRET_KEY_FALLBACKS` open what older keys have sealed, until `reseal` has been round.
"""

from __future__ import annotations

import base64
import os

from allauth.mfa.models import Authenticator
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils.crypto import salted_hmac

NONCE_BYTES = 12
_FIELDS = ("secret", "seed")
_BOUND = b"second-factor"


class CannotOpen(Exception):
    """The key of a sealed second factor is not there any more, or the value was changed."""


def seal(text: str) -> str:
    """`text` under the present key."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + _cipher(settings.SECRET_KEY).encrypt(nonce, text.encode(), _BOUND)).decode()


def opened(sealed: str) -> str:
    """What `seal` was given. Raises CannotOpen."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if (text := _under(key, sealed)) is not None:
            return text
    raise CannotOpen("A second factor cannot be opened: its key is missing or it was changed.")


def reseal() -> int:
    """Put all that is under older keys under the present one; how many rows that were."""
    changed = 0
    for row in Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).order_by("pk").iterator():
        held = {name: row.data[name] for name in _FIELDS if name in row.data}
        old = {name: value for name, value in held.items() if _under(settings.SECRET_KEY, value) is None}
        if old:
            row.data |= {name: seal(opened(value)) for name, value in old.items()}
            row.save(update_fields=["data"])
            changed += 1
    return changed


def _under(key: str, sealed: str) -> str | None:
    try:
        raw = base64.b64decode(sealed, validate=True)
        return _cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _BOUND).decode()
    except (ValueError, InvalidTag):
        return None


def _cipher(key: str) -> AESGCM:
    return AESGCM(salted_hmac("signalist.second-factors", "key", secret=key, algorithm="sha256").digest())
