"""What is commanded and what is decided: instructions, and the record of each decision."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.domain.signals import SignalKind
from signalist.strategies.models import Signal
from signalist.trading.models.common import unindexed_tenant
from signalist.trading.models.subscriptions import Subscription
from tenants.rows import TenantRow


class InstructionKind(models.TextChoices):
    """What a tenant, or a rule acting for one, may command. More kinds come with their packages.

    ORDER opens a position by hand. CANCEL and AMEND are about one order, or the position that a stop or target of that order protects.
    """

    CLOSE = "CLOSE"
    FLATTEN = "FLATTEN"
    EMERGENCY = "EMERGENCY"
    ORDER = "ORDER"
    CANCEL = "CANCEL"
    AMEND = "AMEND"
    TIME_EXIT = "TIME_EXIT"


class Instruction(TenantRow):
    """A tenant's own command. Its unique key makes a repeated command one command.

    What an ORDER asks for, or what an AMEND wants its `order` to be: `quantity` (of an AMEND with what is filled already) or the fraction
    of equity that may be lost at the stop; `price` only of a limit order. `approved_notional` is the worth that the person saw and agreed
    to, in quote currency: what has become larger is denied. None where nobody was asked.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=InstructionKind.choices)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    subscription = models.ForeignKey(
        Subscription, null=True, blank=True, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    reason = models.CharField(max_length=200)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, db_index=False, related_name="+"
    )
    order = models.ForeignKey(
        "trading.Order", null=True, blank=True, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    order_type = models.CharField(max_length=12, blank=True)
    quantity = ExactDecimalField(null=True, blank=True)
    risk_fraction = ExactDecimalField(null=True, blank=True)
    price = ExactDecimalField(null=True, blank=True)
    stop = ExactDecimalField(null=True, blank=True)
    target = ExactDecimalField(null=True, blank=True)
    leverage = ExactDecimalField(null=True, blank=True)
    approved_notional = ExactDecimalField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="instruction_once")]
        indexes = [
            models.Index(fields=["order"], name="instruction_about_order", condition=Q(order__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class ExecutionStatus(models.TextChoices):
    """PENDING until decided; the rest is the decision."""

    PENDING = "PENDING"
    TAKEN = "TAKEN"
    RESIZED = "RESIZED"
    SKIPPED = "SKIPPED"
    DENIED = "DENIED"


class Execution(TenantRow):
    """The decision record: one subscription's answer to one signal or instruction, by which rule and with which numbers.

    `capital` is what an entry that was taken was sized by, `plan` how its position is protected (None: by its stop and target alone);
    the subscription's own may change later. `not_before`: when an exit that a halt keeps waiting is looked at again.
    """

    tenant = unindexed_tenant()
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, db_index=False, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    signal = models.ForeignKey(Signal, null=True, on_delete=models.PROTECT, db_index=False, related_name="+")
    instruction = models.ForeignKey(Instruction, null=True, on_delete=models.PROTECT, db_index=False, related_name="+")
    kind = models.CharField(max_length=10)
    status = models.CharField(max_length=8, default=ExecutionStatus.PENDING)
    rule = models.CharField(max_length=30, default="")
    numbers = models.JSONField(null=True)
    price = ExactDecimalField(null=True)
    stop = ExactDecimalField(null=True)
    target = ExactDecimalField(null=True)
    quantity = ExactDecimalField(null=True)
    capital = ExactDecimalField(null=True)
    plan = models.JSONField(null=True)
    deadline = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["signal", "subscription"], name="execution_once_per_signal"),
            models.UniqueConstraint(fields=["instruction", "subscription"], name="execution_once_per_instruction"),
            models.CheckConstraint(
                condition=Q(signal__isnull=True) ^ Q(instruction__isnull=True), name="execution_has_one_cause"
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], name="execution_pending", condition=Q(status="PENDING")),
            models.Index(fields=["subscription", "decided_at"], name="execution_by_day"),
            models.Index(fields=["tenant", "id"], name="execution_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status} {self.rule}"

    @property
    def signal_kind(self) -> SignalKind:
        return SignalKind(self.kind)
