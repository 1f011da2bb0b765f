"""Which engines are alive: so that what a dead one left half done can be told from what a live one is doing."""

from __future__ import annotations

import uuid

from django.db import models


class EngineProcess(models.Model):
    """One engine process. `boot` names the machine's present boot, so that (boot, pid) is checked only where it means something.

    `beat_at`, `beat_well` and `beat_said` tell what came of its last heartbeat outside the host, `beats_failed` how many in a row failed.
    `sandbox` is the level of the walls around its strategies (`filters`, `namespaces`, `weak`; empty before it is known), `sandbox_said`
    why a stranger's code is refused there.
    `egress` names the address by which it reaches venues; one part of `egress_among` of what that may ask is its (0: nothing).
    `clock` is what market time is for it, `feeds` the market that it feeds, if any; a market is fed by one living engine.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    boot = models.CharField(max_length=80)
    pid = models.IntegerField()
    clock = models.CharField(max_length=6, default="system")
    feeds = models.CharField(max_length=20, blank=True, default="")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    taken_over = models.BooleanField(default=False)
    beat_at = models.DateTimeField(null=True)
    beat_well = models.BooleanField(default=False)
    beat_said = models.CharField(max_length=200, blank=True, default="")
    sandbox = models.CharField(max_length=12, blank=True, default="")
    sandbox_said = models.CharField(max_length=300, blank=True, default="")
    beats_failed = models.PositiveIntegerField(default=0)
    egress = models.CharField(max_length=100, blank=True, default="")
    egress_among = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["feeds"], condition=~models.Q(feeds=""), name="engine_feeds_alone"),
        ]

    def __str__(self) -> str:
        return f"{self.pid} since {self.started_at:%H:%M:%S}"
