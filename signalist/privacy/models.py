"""People who have asked to be forgotten, and when that is due."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

GRACE = timedelta(days=14)


class Deletion(models.Model):
    """A person's wish to be deleted; it can be taken back until `due_at`. `held_up`: why it could not be done when it was due.

    The row outlives the person's data: it shows that the wish was followed, and names nobody any more.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    held_up = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(cancelled_at__isnull=True), name="deletion_asked_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} by {self.due_at:%Y-%m-%d}"
