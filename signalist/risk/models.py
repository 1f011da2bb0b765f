"""The kill switch: how each layer stands now, and every change of it with who, when and why; and what outages cost followers.

Platform and strategies have no tenant, so theirs are tables of their own. The account's layer stands in its own row (`Account.state`),
because the house halts accounts too, when books differ or a position cannot be closed.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account, AccountState
from signalist.strategies.models import Gap, Strategy
from signalist.trading.models import AfterOutage, Subscription
from tenants.rows import TenantRow

REASON = 200
NOT_ACTIVE = ~Q(state=AccountState.ACTIVE.value)


class Layer(models.TextChoices):
    """Where a switch may be thrown, outermost first."""

    PLATFORM = "PLATFORM"
    STRATEGY = "STRATEGY"
    TENANT = "TENANT"
    ACCOUNT = "ACCOUNT"
    SUBSCRIPTION = "SUBSCRIPTION"


class _Switch(models.Model):
    """How a layer stands. `who` is a name to be shown: a person's, or that of the command or the rule that threw it."""

    layer = models.CharField(max_length=12, choices=Layer.choices)
    state = models.CharField(max_length=10, choices=AccountState.choices, default=AccountState.ACTIVE)
    reason = models.CharField(max_length=REASON, blank=True)
    who = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.layer} {self.state}"


class _Change(_Switch):
    """One change, never changed itself; `before` is how the layer stood."""

    append_only: ClassVar[bool] = True

    before = models.CharField(max_length=10, choices=AccountState.choices)

    class Meta:
        abstract = True


def _by() -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, db_index=False, related_name="+"
    )


class SharedSwitch(_Switch):
    """The platform's switch, or a strategy's."""

    strategy = models.OneToOneField(Strategy, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["layer"], condition=Q(strategy__isnull=True), name="switch_one_platform"),
        ]
        indexes = [models.Index(fields=["state"], name="shared_switch_thrown", condition=NOT_ACTIVE)]


class SharedSwitchChange(_Change):
    """A change of the platform's switch or of a strategy's."""

    strategy = models.ForeignKey(Strategy, null=True, on_delete=models.PROTECT, related_name="+")
    by = _by()


class SwitchRequest(models.Model):
    """Staff want the platform's switch, or a strategy's, made stricter: written by the administration, carried out by an engine, `done_at`.

    The web's role may add such a row and nothing more: the switches over everybody, and what became of a request, it only reads. `problem`
    is why nothing was done, such as that it would have released something.
    """

    layer = models.CharField(max_length=12, choices=[(Layer.PLATFORM, "Platform"), (Layer.STRATEGY, "Strategy")])
    strategy = models.ForeignKey(Strategy, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=AccountState.choices)
    reason = models.CharField(max_length=REASON)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+")
    at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, editable=False)
    problem = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["id"], name="switch_request_waiting", condition=Q(done_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.layer} {self.state}"


class TenantSwitch(_Switch, TenantRow):
    """A tenant's switch, or that of one of its subscriptions. What the operator has thrown only the operator releases."""

    subscription = models.OneToOneField(Subscription, null=True, on_delete=models.PROTECT, related_name="+")
    stopped_by_operator = models.BooleanField(default=False)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(subscription__isnull=True), name="switch_one_per_tenant"
            ),
        ]
        indexes = [models.Index(fields=["tenant"], name="tenant_switch_thrown", condition=NOT_ACTIVE)]


class TenantSwitchChange(_Change, TenantRow):
    """A change of the switch of a tenant, of an account or of a subscription. Of an entry that is never changed the name alone goes when
    its owner is deleted."""

    names_people: ClassVar[str] = "who"

    account = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="+")
    subscription = models.ForeignKey(Subscription, null=True, on_delete=models.PROTECT, related_name="+")
    by = _by()

    class Meta(TenantRow.Meta):
        indexes = [models.Index(fields=["tenant", "id"], name="switch_change_newest")]


class Missed(TenantRow):
    """What a subscription did about one gap: `choice` is what it had chosen, `closed` whether a position was closed for an exit that was
    missed at `exit_at`, `asked` whether its entries wait for its owner's word."""

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="+")
    gap = models.ForeignKey(Gap, on_delete=models.PROTECT, db_index=False, related_name="+")
    choice = models.CharField(max_length=5, choices=AfterOutage.choices)
    exit_at = models.DateTimeField(null=True)
    closed = models.BooleanField(default=False)
    asked = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["gap", "subscription"], name="missed_once")]
        indexes = [models.Index(fields=["tenant", "id"], name="missed_newest")]

    def __str__(self) -> str:
        return f"{self.choice} {self.gap_id}"
