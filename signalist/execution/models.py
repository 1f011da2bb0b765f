"""Which engines are alive: so that what a dead one left half done can be told from what a live one is doing."""

from __future__ import annotations

import uuid

from django.db import models


class EngineProcess(models.Model):
    """One engine process. `boot` names the machine's present boot, so that (boot, pid) is checked only where it means something."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    boot = models.CharField(max_length=80)
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    taken_over = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.pid} since {self.started_at:%H:%M:%S}"
