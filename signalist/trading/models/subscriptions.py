"""Who follows what, within which limits, and how many follow a strategy."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.domain.protection import Plan, ladder_of
from signalist.domain.rules import Limits
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule, Strategy
from tenants.rows import TenantRow


class SubscriptionStatus(models.TextChoices):
    """PAUSED takes no entries but keeps its exits and protection; so does ENDED, for what it still holds."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class AfterOutage(models.TextChoices):
    """What a subscription does about signals that were missed in an outage, which are never traded late.

    HOLD keeps its position protected and takes the next signal; CLOSE closes what a missed exit would have closed; ASK takes no entry
    until its owner says so.
    """

    HOLD = "HOLD"
    CLOSE = "CLOSE"
    ASK = "ASK"


class Subscription(TenantRow):
    """An account following a strategy: on which instrument, with how much, within which limits. Fractions, never percents.

    One without a strategy is the account's book by hand for that instrument: it holds what people order themselves, follows nothing, has
    no capital and sizes nothing; each order brings its own size.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="subscriptions")
    strategy = models.ForeignKey(Strategy, null=True, on_delete=models.PROTECT, related_name="+")
    schedule = models.ForeignKey(Schedule, null=True, on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    capital = ExactDecimalField()
    risk_fraction = ExactDecimalField(null=True, blank=True)
    notional_fraction = ExactDecimalField(null=True, blank=True)
    leverage = ExactDecimalField(default=1)
    max_open_positions = models.PositiveIntegerField(null=True, blank=True)
    max_daily_entries = models.PositiveIntegerField(null=True, blank=True)
    daily_loss_amount = ExactDecimalField(null=True, blank=True)
    daily_loss_fraction = ExactDecimalField(null=True, blank=True)
    max_exposure_fraction = ExactDecimalField(null=True, blank=True)
    max_position_fraction = ExactDecimalField(null=True, blank=True)
    cooldown_seconds = models.PositiveIntegerField(null=True, blank=True)
    break_even_gain = ExactDecimalField(null=True, blank=True)
    trail_fraction = ExactDecimalField(null=True, blank=True)
    target_ladder = models.CharField(max_length=120, blank=True, default="")
    longest_minutes = models.PositiveIntegerField(null=True, blank=True)
    after_outage = models.CharField(max_length=5, choices=AfterOutage.choices, default=AfterOutage.HOLD)
    declined_version = models.PositiveIntegerField(null=True, blank=True)
    # The newest version that its owner was told of.
    told_version = models.PositiveIntegerField(default=0, editable=False)
    status = models.CharField(max_length=8, choices=SubscriptionStatus.choices, default=SubscriptionStatus.ACTIVE)
    started_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["account", "strategy"], condition=~Q(status="ENDED"), name="subscription_unique_while_live"
            ),
            models.UniqueConstraint(
                fields=["account", "instrument"], condition=Q(strategy__isnull=True), name="subscription_one_by_hand"
            ),
            models.CheckConstraint(
                condition=(
                    Q(strategy__isnull=False, schedule__isnull=False)
                    & (Q(risk_fraction__isnull=True) ^ Q(notional_fraction__isnull=True))
                )
                | Q(
                    strategy__isnull=True,
                    schedule__isnull=True,
                    risk_fraction__isnull=True,
                    notional_fraction__isnull=True,
                ),
                name="subscription_sized_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} follows {self.strategy_id}"

    @property
    def by_hand(self) -> bool:
        """Whether it is an account's book of what people order themselves."""
        return self.strategy_id is None

    def limits(self) -> Limits:
        """The subscription's own layer."""
        return Limits(
            self.max_open_positions,
            self.max_daily_entries,
            self.daily_loss_amount,
            self.daily_loss_fraction,
            self.max_exposure_fraction,
            self.max_position_fraction,
            self.cooldown_seconds,
        )

    def plan(self) -> Plan:
        """How its positions are protected beyond their first stop and target."""
        return Plan(self.break_even_gain, self.trail_fraction, ladder_of(self.target_ladder), self.longest_minutes)


class Following(models.Model):
    """How many accounts follow a strategy now: a number for everybody to see, without a tenant. Kept by `subscribe` and `cancel`."""

    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, db_index=False, related_name="+")
    is_paper = models.BooleanField()
    followers = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["strategy", "is_paper"], name="following_unique")]

    def __str__(self) -> str:
        return f"{self.followers} follow {self.strategy_id}"
