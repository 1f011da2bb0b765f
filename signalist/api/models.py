"""The keys that programs log in with: only a digest is stored, so nobody can read a key here."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models

from signalist.clock import utc_now
from tenants.rows import TenantRow

HOURLY = 1000


class ApiKey(TenantRow):
    """A person's key for one workspace. `begins` are its first characters, to tell it from others; `digest` the SHA-256 of the whole.

    `hour` and `in_hour` count its requests of the present hour, `uses` all of them. A key that was rotated ends at `expires_at` and names
    its successor.
    """

    # A key is looked up before anybody knows whose it is.
    web_purposes: ClassVar[str] = "'api'"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    begins = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    hourly_limit = models.PositiveIntegerField(default=HOURLY)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    successor = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    hour = models.DateTimeField(null=True, blank=True)
    in_hour = models.PositiveIntegerField(default=0)
    uses = models.PositiveBigIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return f"{self.begins}… {self.name}"

    def is_good(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
