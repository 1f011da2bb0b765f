"""Strategies, their immutable versions, where they run, each run and its signals. An author, but no tenant."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models

from signalist.clock import utc_now
from signalist.db.fields import ExactDecimalField
from signalist.domain.timeframes import interval_key, timeframe
from signalist.markets.models import Instrument
from signalist.strategies.gate_models import GateReport  # noqa: F401  # Django looks for models here
from signalist.strategies.grant_models import StrategyGrant  # noqa: F401  # Django looks for models here
from signalist.strategies.version_models import VersionState, VersionStep  # noqa: F401  # Django looks for models here


class Strategy(models.Model):
    """What subscribers follow, across its versions."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        permissions = [("read_source", "Can see the source"), ("write_versions", "Can write versions")]

    def __str__(self) -> str:
        return self.slug


class StrategyVersion(models.Model):
    """One state of the source with its parameter values; never changed once written, but for its `state`.

    `changes` is what its author says is new in it; `markets` where it shall run once it is published, as [instrument id, timeframe] each:
    what the gate tries it on, so that they stay, too. It begins as a draft; who makes one in another state names it.
    """

    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.TextField()
    content_hash = models.CharField(max_length=64)
    parameters = models.JSONField(default=dict)
    history = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=utc_now)
    state = models.CharField(max_length=9, choices=VersionState.choices, default=VersionState.DRAFT)
    changes = models.CharField(max_length=500, blank=True)
    markets = models.JSONField(default=list)
    # A worker has it at the gate until then: a job that is given out twice is done once.
    examined_until = models.DateTimeField(null=True, editable=False)

    CONTENTS = ("strategy_id", "number", "source", "content_hash", "parameters", "history", "markets")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["strategy", "number"], name="strategy_version_unique")]

    def __str__(self) -> str:
        return f"{self.strategy_id} v{self.number}"

    def save(self, **kwargs: Any) -> None:
        """Raises ValueError where what was written once would change."""
        if self.pk is not None and not kwargs.get("force_insert"):
            stored = StrategyVersion.objects.filter(pk=self.pk).values(*self.CONTENTS).first()
            if stored is not None and any(getattr(self, name) != value for name, value in stored.items()):
                raise ValueError("A version of a strategy never changes; make a new one.")
        super().save(**kwargs)


class Schedule(models.Model):
    """A version that is due at every close of an instrument's candles of one timeframe (the registry, STR-07).

    `signals` is how many it has given, the newest one's `sequence`; `decided_until` the close up to which it is known what was missed.
    """

    version = models.ForeignKey(StrategyVersion, on_delete=models.PROTECT, related_name="schedules")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    timeframe = models.CharField(max_length=3)
    is_active = models.BooleanField(default=True)
    signals = models.PositiveIntegerField(default=0)
    decided_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Taken off for not answering; once it is put on again, runs up to this one are not held against it any more.
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    forgiven_run = models.BigIntegerField(default=0, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "instrument", "timeframe"], name="schedule_unique")]

    def __str__(self) -> str:
        return f"{self.version_id} on {self.instrument_id} {self.timeframe}"


class RunStatus(models.TextChoices):
    """CLAIMED while an engine works on it; the rest is final."""

    CLAIMED = "CLAIMED"
    SUCCESS = "SUCCESS"
    NO_SIGNAL = "NO_SIGNAL"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class StrategyRun(models.Model):
    """One run for one candle. Its unique row is what makes it happen once; it is never released."""

    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, db_index=False, related_name="+")
    candle_close = models.DateTimeField()
    status = models.CharField(max_length=10, default=RunStatus.CLAIMED)
    engine = models.UUIDField()
    claimed_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    duration_ms = models.FloatField(null=True)
    error_kind = models.CharField(max_length=30, blank=True)
    error = models.TextField(blank=True)
    error_line = models.IntegerField(null=True)

    class Meta:
        constraints = [
            # The schedule stands for (version, instrument, timeframe), which is unique in its own table.
            models.UniqueConstraint(fields=["schedule", "candle_close"], name="strategy_run_once"),
        ]
        indexes = [models.Index(fields=["status"], name="strategy_run_open", condition=models.Q(status="CLAIMED"))]

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.interval_key}"

    @property
    def lateness(self) -> timedelta:
        """How long after its scheduled time, which is the candle's close, the run was claimed (CON-45)."""
        return self.claimed_at - self.candle_close

    @property
    def interval_key(self) -> str:
        """The candle's name (EXE-05)."""
        return interval_key(self.candle_close, timeframe(self.schedule.timeframe))


class Signal(models.Model):
    """What a run said. Its prices are true only for the schedule's instrument. Nothing tenant-owned above this line.

    `sequence` counts a schedule's signals without a gap, so that a follower who has the fifth and the seventh knows that one is missing.
    `subscribers` is how many got an execution of it (EXE-09); None before it was fanned out.
    """

    public_id = models.UUIDField(unique=True, editable=False)
    run = models.ForeignKey(StrategyRun, on_delete=models.PROTECT, db_index=False, related_name="signals")
    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, db_index=False, related_name="+")
    kind = models.CharField(max_length=10)
    candle_close = models.DateTimeField()
    reference_price = ExactDecimalField()
    stop = ExactDecimalField(null=True)
    target = ExactDecimalField(null=True)
    strength = ExactDecimalField(null=True)
    confidence = ExactDecimalField(null=True)
    emitted_at = models.DateTimeField()
    deadline = models.DateTimeField()
    fanned_out_at = models.DateTimeField(null=True)
    sequence = models.PositiveIntegerField(null=True)
    subscribers = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "kind"], name="signal_unique"),
            models.UniqueConstraint(fields=["schedule", "sequence"], name="signal_sequence"),
        ]
        indexes = [
            models.Index(
                fields=["fanned_out_at"], name="signal_to_fan_out", condition=models.Q(fanned_out_at__isnull=True)
            ),
            models.Index(fields=["schedule", "candle_close"], name="signal_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.candle_close:%Y-%m-%dT%H:%MZ}"


class Gap(models.Model):
    """Candles of a schedule, one after another, that were never decided on; `candles` boundaries from `first_close` to `last_close`.

    Once judged: `stored` of them are there after all, and by them the strategy would have said `entries` entries, and exits, the newest
    of each direction at `exit_long_at` and `exit_short_at`. It is known for the followers' sake and is never traded as a signal.
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, db_index=False, related_name="gaps")
    first_close = models.DateTimeField()
    last_close = models.DateTimeField()
    candles = models.PositiveIntegerField()
    found_at = models.DateTimeField()
    judged_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    stored = models.PositiveIntegerField(default=0)
    entries = models.PositiveIntegerField(default=0)
    exit_long_at = models.DateTimeField(null=True)
    exit_short_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["schedule", "first_close"], name="gap_once")]
        indexes = [models.Index(fields=["found_at"], name="gap_open", condition=models.Q(answered_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.candles} candles of {self.schedule_id} until {self.last_close:%Y-%m-%dT%H:%MZ}"
