"""Rows about people at the doors. None has a tenant: a person logs in before a workspace is chosen."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from signalist.domain.login_risk import Response


class Counter(models.Model):
    """How often something was asked for in one window of time; the key names what, who and the window."""

    key = models.CharField(max_length=120, primary_key=True)
    count = models.BigIntegerField()
    until = models.BigIntegerField()  # the window's end, seconds since 1970

    class Meta:
        indexes = [models.Index(fields=["until"], name="counter_until")]

    def __str__(self) -> str:
        return f"{self.key} {self.count}"


class SecurityEvent(models.Model):
    """What happened at a door (ACC-19): kept for its person to read, gone with the person; the audit log has its own line."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=40)
    status = models.CharField(max_length=10)
    address = models.CharField(max_length=45, blank=True)
    network = models.CharField(max_length=45, blank=True, default="")  # as which the address is counted and banned
    agent = models.CharField(max_length=300, blank=True)
    device = models.CharField(max_length=32, blank=True)
    place = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    risk_score = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["user", "-at"], name="security_event_of"),
            models.Index(fields=["network", "-at"], name="security_event_near"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status} {self.pk}"

    @property
    def words(self) -> str:
        """What happened, as a page says it."""
        return self.kind.replace("_", " ").capitalize()


class Incident(models.Model):
    """What was taken for an attack (ACC-25), what was done about it by itself, and how it ended."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=10)
    description = models.CharField(max_length=300)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    response = models.CharField(max_length=20, blank=True, choices=[(r.value, r.value) for r in Response if r])
    at = models.DateTimeField()
    noticed_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    resolution = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "-at"], name="incident_of"),
            models.Index(fields=["-at"], name="incident_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.severity} {self.pk}"

    @property
    def words(self) -> str:
        """What happened, as a page says it."""
        return self.kind.replace("_", " ").capitalize()


class Ban(models.Model):
    """An address (of IPv6 its /64) from which nobody logs in for a while, after ten failures in a day (CON-119). Who is in stays in."""

    address = models.CharField(max_length=45, unique=True)
    until = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.address} until {self.until:%Y-%m-%d %H:%M}"
