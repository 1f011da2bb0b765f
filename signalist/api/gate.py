"""Who a request of a program comes from, and whether it may: a key, its workspace, its scopes and its hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, F, Value, When
from django.http import HttpRequest

from signalist.api.actions import PREFIX, digest_of
from signalist.api.answers import Refusal
from signalist.api.models import ApiKey
from signalist.audit.origin import client_address
from signalist.clock import utc_now
from tenants.doors import across_tenants, acting_for
from tenants.models import Membership
from tenants.selectors import memberships_of

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that was let in, and the membership that it speaks for. `left` requests remain until `resets` seconds from now."""

    key: ApiKey
    membership: Membership
    left: int
    resets: int

    @property
    def headers(self) -> dict[str, str]:
        """How much is left of the hour (draft-ietf-httpapi-ratelimit-headers, in its widely used form)."""
        return {
            "RateLimit-Limit": str(self.key.hourly_limit),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.resets),
        }


def caller(request: HttpRequest) -> Caller:
    """Who asks. One look at the key, one at its membership, one statement that counts the request.

    Raises Refusal: 401 without a key that opens anything, 429 when its hour is used up.
    """
    key, now = _key(request), utc_now()
    if key is None or not key.is_good(now) or not key.user.is_active:
        raise Refusal(401, "unauthenticated", "Send a key that is in use: Authorization: Bearer tk_live_…")
    membership = next((m for m in memberships_of(key.user_id) if m.tenant_id == key.tenant_id), None)
    if membership is None:
        raise Refusal(401, "unauthenticated", "The key's owner is no longer a member of its workspace.")
    hour = now.replace(minute=0, second=0, microsecond=0)
    used, resets = _counted(key, hour, now, client_address(request)), int((hour + HOUR - now).total_seconds()) + 1
    found = Caller(key, membership, max(key.hourly_limit - used, 0), resets)
    if used > key.hourly_limit:
        words = f"This key may ask {key.hourly_limit} times an hour; ask again in {resets} seconds."
        raise Refusal(429, "too_many_requests", words, found.headers | {"Retry-After": str(resets)})
    return found


def _key(request: HttpRequest) -> ApiKey | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip().startswith(PREFIX):
        return None
    with across_tenants("api"):
        return ApiKey.objects.select_related("user").filter(digest=digest_of(text.strip())).first()


def _counted(key: ApiKey, hour: datetime, now: datetime, address: str) -> int:
    """Count this request in one statement, whichever process it came to; how many the key has made in this hour."""
    with acting_for(key.tenant_id):
        ApiKey.objects.filter(pk=key.pk).update(
            in_hour=Case(When(hour=hour, then=F("in_hour") + 1), default=Value(1)),
            hour=hour,
            uses=F("uses") + 1,
            last_used_at=now,
            last_used_from=address[:45],
        )
        return ApiKey.objects.values_list("in_hour", flat=True).get(pk=key.pk)
