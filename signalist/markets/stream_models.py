"""Who listened to the live prices and pages, to what, and from when to when."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from signalist.clock import utc_now
from tenants.rows import TenantRow


class StreamSession(TenantRow):
    """One socket of a client. `client` is the name that the client gives itself, the same from one socket to the next, or one made for it.

    `regions` and `instruments` are what it is sent, as it last asked; `changes` counts how often it asked for something else while it was
    connected. `login` is the digest of its log-in's session, which opens nothing. `ended_with` is the close code where we closed it.
    Without `ended_at` it is open, or its process ended without a word.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    client = models.CharField(max_length=40)
    regions = models.JSONField(default=list)
    instruments = models.JSONField(default=list)
    changes = models.PositiveIntegerField(default=0)
    login = models.CharField(max_length=16)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    opened_at = models.DateTimeField(default=utc_now)
    changed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_with = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["opened_at"], name="stream_session_opened")]

    def __str__(self) -> str:
        return f"{self.client} {self.opened_at:%Y-%m-%dT%H:%MZ}"
