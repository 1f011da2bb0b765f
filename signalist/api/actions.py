"""What people change about their keys. A key is told once, by the function that makes it, and is nowhere after that."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from signalist.api.models import HOURLY, ApiKey
from signalist.api.scopes import SCOPES
from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.domain.errors import DomainError
from tenants.models import User
from tenants.security.taking_over import CONFIRM_FIRST, is_confirmed

PREFIX = "tk_live_"
SHOWN = len(PREFIX) + 6
MOST_KEYS = 50
MOST_HOURLY = 10_000
OVERLAP = timedelta(hours=24)
"""How long a key that was rotated goes on beside its successor, by default."""
LONGEST = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Made:
    """A key and its text, which is shown now and never again."""

    row: ApiKey
    text: str = field(repr=False)


def digest_of(text: str) -> str:
    """What is stored of a key. It has 256 random bits, so that a plain digest cannot be searched for."""
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def make(
    tenant_id: int,
    user: User,
    name: str,
    scopes: Collection[str],
    *,
    hourly_limit: int = HOURLY,
    lasts: timedelta | None = None,
) -> Made:
    """Make a key of `user` for a workspace; `lasts`: how long, None for ever. Raises DomainError for what no key may have."""
    if not is_confirmed(user):
        raise DomainError(CONFIRM_FIRST)
    unknown = set(scopes) - SCOPES.keys()
    if unknown or not scopes:
        raise DomainError("Choose at least one thing that the key may read.")
    if not 1 <= hourly_limit <= MOST_HOURLY:
        raise DomainError(f"A key may ask between 1 and {MOST_HOURLY:,} times an hour.")
    if lasts is not None and not timedelta() < lasts <= LONGEST:
        raise DomainError("A key that ends does so within a year.")
    if ApiKey.objects.filter(user=user, revoked_at__isnull=True).count() >= MOST_KEYS:
        raise DomainError(f"{MOST_KEYS} keys are the most that a person may have here; revoke one first.")
    expires_at = None if lasts is None else utc_now() + lasts
    made = _made(ApiKey(tenant_id=tenant_id, user=user, name=name, scopes=sorted(scopes)), hourly_limit, expires_at)
    _record("api_key.made", made.row, user, scopes=sorted(scopes))
    return made


@transaction.atomic
def rotate(key: ApiKey, by: User, overlap: timedelta = OVERLAP) -> Made:
    """Make a successor with the same name, scopes and limit; the old key ends after `overlap`. Raises DomainError where it has ended."""
    now, row = utc_now(), ApiKey.objects.select_for_update(of=("self",)).get(pk=key.pk)
    if not row.is_good(now) or row.successor_id is not None:
        raise DomainError("This key has ended, or has a successor already.")
    lasts = None if row.expires_at is None else row.expires_at - row.created_at
    fresh = ApiKey(tenant_id=row.tenant_id, user_id=row.user_id, name=row.name, scopes=row.scopes)
    made = _made(fresh, row.hourly_limit, None if lasts is None else now + lasts)
    row.successor = made.row
    row.expires_at = min(now + overlap, row.expires_at or now + overlap)
    row.save(update_fields=["successor", "expires_at"])
    _record("api_key.rotated", row, by, successor=str(made.row.public_id))
    return made


@transaction.atomic
def revoke(key: ApiKey, by: User | None) -> bool:
    """End a key now; whether it had not been ended before."""
    done = ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=utc_now())
    if done:
        _record("api_key.revoked", key, by)
    return bool(done)


def revoke_all_of(tenant_id: int, user_id: int, by: User | None) -> int:
    """End every key of somebody in a workspace; how many. In the caller's transaction."""
    keys = ApiKey.objects.filter(tenant_id=tenant_id, user_id=user_id, revoked_at__isnull=True).order_by("pk")
    return sum(revoke(key, by) for key in list(keys))


def _made(row: ApiKey, hourly_limit: int, expires_at: datetime | None) -> Made:
    text = f"{PREFIX}{secrets.token_urlsafe(32)}"
    row.hourly_limit, row.expires_at = hourly_limit, expires_at
    row.begins, row.digest = text[:SHOWN], digest_of(text)
    row.save(force_insert=True)
    return Made(row, text)


def _record(action: str, row: ApiKey, by: User | None, **more: object) -> None:
    user_id = None if by is None else by.pk
    details = {"name": row.name, "begins": row.begins} | more
    record(action, tenant_id=row.tenant_id, user_id=user_id, target=str(row.public_id), details=details)
