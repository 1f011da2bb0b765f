"""The rows of the publish gate: what it said of a version, append-only; the newest one counts."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

# Raised when the gate asks for more than it did: a report of an older gate says which one it was.
GATE = 2


class GateReport(models.Model):
    """One report. `markets` says what the version was tried on: each made-up market by its numbers, stored candles by their hash.

    `candles` is the hash that reports of the first gate have instead; empty there for the gate's own.
    """

    append_only: ClassVar[bool] = True

    version = models.ForeignKey("strategies.StrategyVersion", on_delete=models.PROTECT, related_name="gate_reports")
    gate = models.PositiveSmallIntegerField(default=GATE)
    passed = models.BooleanField()
    checks = models.JSONField()
    candles = models.CharField(max_length=64, blank=True)
    markets = models.JSONField(default=list)
    checked_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["version", "-checked_at"], name="gate_report_newest")]

    def __str__(self) -> str:
        return f"{self.version_id} {'passed' if self.passed else 'refused'} {self.checked_at:%Y-%m-%dT%H:%MZ}"
