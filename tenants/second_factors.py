"""Seals what makes an authenticator app's codes and the recovery codes: AES-256-GCM under a key that is made of `SECRET_KEY`.

The sealed form is base64 of nonce and ciphertext. `SECRET_KEY_FALLBACKS` open what older keys have sealed, until `reseal` (`manage.py
rotate_keys`) has been round.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

NONCE_BYTES = 12
BATCH = 200
"""Second factors that are sealed anew in one transaction."""
_FIELDS = ("secret", "seed")
_PRESENT, _OLDER, _LOST = range(3)
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


@dataclass(frozen=True, slots=True)
class Factors:
    """How many second factors are sealed under the present signing key, under `older` ones, and under none that is there (`lost`)."""

    present: int = 0
    older: int = 0
    lost: int = 0


def standing() -> Factors:
    """How far `reseal` has come. While any is under an older key, its key stays among the fallbacks."""
    counts = Counter(max(map(_age, held.values())) for _, held in _sealed_rows() if held)
    return Factors(counts[_PRESENT], counts[_OLDER], counts[_LOST])


def reseal(batch: int = BATCH) -> int:
    """Put all that is under older keys under the present one, in batches; how many rows that were. What no key opens stays as it is."""
    changed, after = 0, 0
    while True:
        with transaction.atomic():
            # Locked: a recovery code may be used, and marked in the same column, at this moment.
            found = _sealed_rows(Authenticator.objects.select_for_update().filter(pk__gt=after), batch)
            old = [(row, held) for row, held in found if held and max(map(_age, held.values())) == _OLDER]
            for row, held in old:
                row.data |= {name: seal(opened(value)) for name, value in held.items()}
            Authenticator.objects.bulk_update([row for row, _ in old], ["data"])
        if not found:
            return changed
        changed, after = changed + len(old), found[-1][0].pk


def _sealed_rows(rows: Any = None, most: int | None = None) -> list[tuple[Authenticator, dict[str, str]]]:
    """Rows with what is sealed in them, in the order of their keys; of their columns only those that the engine may read."""
    rows = Authenticator.objects.all() if rows is None else rows
    chosen = rows.exclude(type=Authenticator.Type.WEBAUTHN).only("id", "type", "data").order_by("pk")[:most]
    return [(row, {name: row.data[name] for name in _FIELDS if name in row.data}) for row in chosen]


def _age(sealed: str) -> int:
    if _under(settings.SECRET_KEY, sealed) is not None:
        return _PRESENT
    return _OLDER if any(_under(key, sealed) is not None for key in settings.SECRET_KEY_FALLBACKS) else _LOST


def _under(key: str, sealed: str) -> str | None:
    try:
        raw = base64.b64decode(sealed, validate=True)
        return _cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _BOUND).decode()
    except (ValueError, InvalidTag):
        return None


def _cipher(key: str) -> AESGCM:
    return AESGCM(salted_hmac("signalist.second-factors", "key", secret=key, algorithm="sha256").digest())
