"""The log's rows: entries, what was typed beside them, the links that chain them, each chain's head, and people's key rows."""

from __future__ import annotations

import secrets
import uuid
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Coalesce

from signalist.db.scope import ScopedManager

# Rows that belong to no tenant (a failed log-in of somebody unknown) have a chain of their own.
_CHAIN = Coalesce("tenant_id", models.Value(0))


class ChainRow(models.Model):
    """A row of a tenant's chain; `tenant_id` is a plain column, null for what belongs to nobody, which only staff sees."""

    tenant_policy: ClassVar[str] = "tenant_id = {tenant}"
    engine_policy: ClassVar[str] = "true"

    tenant_id = models.BigIntegerField(null=True)

    objects: ClassVar[models.Manager[Self]] = ScopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"


class Subject(models.Model):
    """The key row of a person: who a pseudonym is, and the key that opens where they came from.

    Erasing it makes both unreadable for good, and changes no entry: the chain stays valid.
    """

    user_id = models.BigIntegerField(unique=True)
    pseudonym = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.BinaryField(default=secrets.token_bytes)

    def __str__(self) -> str:
        return str(self.pseudonym)


class Entry(ChainRow):
    """One thing that was done or refused. Never changed and never deleted: triggers on both databases see to that.

    `action` is a dotted name (`credential.unsealed`). `details` is canonical JSON. `origin` holds address and program: sealed under
    the subject's key where there is a subject, else plain JSON.
    """

    append_only: ClassVar[bool] = True
    # Anybody may append what belongs to nobody, and staff what they do to a tenant.
    append_policy: ClassVar[str] = "tenant_id IS NULL OR {across} = 'staff'"

    at = models.DateTimeField()
    action = models.CharField(max_length=60)
    subject = models.UUIDField(null=True)
    target = models.CharField(max_length=200, blank=True, default="")
    result = models.CharField(max_length=20, default="done")
    details = models.TextField(default="{}")
    session = models.CharField(max_length=16, blank=True, default="")
    correlation_id = models.CharField(max_length=64, blank=True, default="")
    origin = models.TextField(default="{}")

    class Meta(ChainRow.Meta):
        indexes = [
            models.Index(fields=["tenant_id", "-id"], name="audit_of_a_tenant"),
            models.Index(fields=["tenant_id", "action", "-id"], name="audit_by_action"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.pk}"


class Words(ChainRow):
    """What somebody typed beside what they did (`signalist.audit.words`). Its entry holds the `mark`; `salt` is empty where a name was
    taken out of the text."""

    append_only: ClassVar[bool] = True
    append_policy: ClassVar[str] = Entry.append_policy
    names_people: ClassVar[str] = "text, salt"

    mark = models.CharField(max_length=64, unique=True)
    salt = models.CharField(max_length=64, blank=True)
    text = models.CharField(max_length=500)

    class Meta(ChainRow.Meta):
        indexes = [models.Index(fields=["tenant_id"], name="audit_words_of_a_tenant")]

    def __str__(self) -> str:
        return self.mark


class Link(ChainRow):
    """An entry's place in its chain: number n carries the hash over the entry and over the hash of n - 1."""

    append_only: ClassVar[bool] = True

    number = models.BigIntegerField()
    entry_id = models.BigIntegerField(unique=True)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    linked_at = models.DateTimeField()

    class Meta(ChainRow.Meta):
        constraints = [models.UniqueConstraint(_CHAIN, "number", name="audit_link_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.number}"


class Head(ChainRow):
    """How far a chain goes, beside the chain, so that an end that was cut off is missed."""

    number = models.BigIntegerField()
    hash = models.CharField(max_length=64)

    class Meta(ChainRow.Meta):
        constraints = [models.UniqueConstraint(_CHAIN, name="audit_head_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.number}"
