"""Files for one person each, in parts, in the database: the process that makes one and those that hand it out may be on any machine."""

from __future__ import annotations

import uuid
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from signalist.clock import utc_now
from signalist.db.scope import ScopedManager


class Status(models.TextChoices):
    """WAITING until the job runner begins; GONE when its time is over and its parts are deleted."""

    WAITING = "WAITING"
    MAKING = "MAKING"
    READY = "READY"
    FAILED = "FAILED"
    GONE = "GONE"


class _Own(models.Model):
    """A row of a tenant, whose id is a plain column."""

    tenant_policy: ClassVar[str] = "tenant_id = {tenant}"
    engine_policy: ClassVar[str] = "true"

    tenant_id = models.BigIntegerField()

    objects: ClassVar[models.Manager[Self]] = ScopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"


class Download(_Own):
    """A file that `user_id` asked for. `done` of `total` parts of the work are done; it can be fetched until `expires_at`."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user_id = models.BigIntegerField()
    kind = models.CharField(max_length=30)
    format = models.CharField(max_length=10)
    name = models.CharField(max_length=100)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    problem = models.CharField(max_length=200, blank=True)
    asked_at = models.DateTimeField(default=utc_now)
    begun_at = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField(null=True)

    class Meta(_Own.Meta):
        indexes = [
            models.Index(fields=["tenant_id", "user_id", "-id"], name="download_of_a_person"),
            models.Index(fields=["expires_at"], name="download_to_end", condition=Q(status="READY")),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.status}"


class Part(_Own):
    """A piece of a file, in order of `n`."""

    download = models.ForeignKey(Download, on_delete=models.CASCADE, related_name="parts")
    n = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta(_Own.Meta):
        constraints = [models.UniqueConstraint(fields=["download", "n"], name="download_part_once")]

    def __str__(self) -> str:
        return f"{self.download_id} {self.n}"
