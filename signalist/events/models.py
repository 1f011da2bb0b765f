"""The outbox. Ids alone are not in commit order on PostgreSQL, so every event carries the transaction that wrote it."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Func

from signalist.db.scope import ScopedManager


class WritingTransaction(Func):
    """The id of the present transaction as a number; 0 on SQLite, where one writer makes the row's id enough."""

    template = "((pg_current_xact_id()::text)::bigint)"
    output_field = models.BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[str | int, ...]]:
        return "0", ()


class Event(models.Model):
    """A fact, past tense (`order_filled`). `tenant_id` is a plain column, null for facts that belong to nobody (a closed candle).

    `is_alarm`: somebody must know soon; its payload's `severity` is HIGH.
    """

    tenant_policy: ClassVar[str] = "tenant_id = {tenant} OR tenant_id IS NULL"
    append_only: ClassVar[bool] = True
    engine_policy: ClassVar[str] = "true"
    engine_may_delete: ClassVar[str] = "at < now() - interval '7 days'"

    xid = models.BigIntegerField(db_default=WritingTransaction())
    tenant_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=50)
    version = models.PositiveSmallIntegerField(default=1)
    payload = models.JSONField(default=dict)
    at = models.DateTimeField()
    is_alarm = models.BooleanField(default=False)

    objects: ClassVar[models.Manager[Self]] = ScopedManager()

    class Meta:
        indexes = [
            models.Index(fields=["xid", "id"], name="event_commit_order"),
            models.Index(fields=["tenant_id", "-id"], condition=models.Q(is_alarm=True), name="event_alarms"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
