"""The states of a version, and the record of who moved it from one to the next."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class VersionState(models.TextChoices):
    """A version begins as a draft and is offered once the gate and a reviewer have let it through. Its contents never change."""

    DRAFT = "DRAFT"
    CHECKING = "CHECKING", "at the gate"
    REVIEW = "REVIEW", "in review"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


NEXT: dict[str, frozenset[str]] = {
    VersionState.DRAFT: frozenset({VersionState.CHECKING}),
    VersionState.CHECKING: frozenset({VersionState.REVIEW, VersionState.DRAFT}),
    VersionState.REVIEW: frozenset({VersionState.PUBLISHED, VersionState.DRAFT}),
    VersionState.PUBLISHED: frozenset({VersionState.RETIRED}),
    VersionState.RETIRED: frozenset(),
}
"""Which states may follow which."""


class VersionStep(models.Model):
    """One move of a version, append-only. `by` is None where the house itself moved it, as the gate does."""

    version = models.ForeignKey("strategies.StrategyVersion", on_delete=models.PROTECT, related_name="steps")
    state = models.CharField(max_length=9, choices=VersionState.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()

    append_only = True

    class Meta:
        indexes = [models.Index(fields=["version", "at"], name="version_step_in_order")]

    def __str__(self) -> str:
        return f"{self.version_id} {self.state} {self.at:%Y-%m-%dT%H:%MZ}"
