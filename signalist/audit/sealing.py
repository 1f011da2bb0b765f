"""Seals where a person came from under the key of that person, so that erasing the key erases it in an append-only log."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def canonical(value: object) -> str:
    """`value` as the one JSON text that stands for it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def seal(values: Mapping[str, str], key: bytes, bound_to: str) -> str:
    """`values` as base64 of a nonce and AES-256-GCM's ciphertext; `bound_to` is the associated data (NIST SP 800-38D)."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return base64.b64encode(
        nonce + AESGCM(key).encrypt(nonce, canonical(dict(values)).encode(), bound_to.encode())
    ).decode()


def opened(sealed: str, key: bytes, bound_to: str) -> dict[str, str]:
    """What was sealed; nothing where the text is no seal of that key."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        values = json.loads(AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to.encode()))
    except (InvalidTag, ValueError, binascii.Error):
        return {}
    return {str(name): str(value) for name, value in values.items()}
