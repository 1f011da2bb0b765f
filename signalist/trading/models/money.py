"""What accounts hold and what is promised to entries; results by day, and worth over time."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.domain.money import ZERO
from signalist.trading.models.orders import Order
from signalist.trading.models.subscriptions import Subscription
from tenants.rows import TenantRow


class Reservation(TenantRow):
    """Money and a position slot promised to an entry that has been decided and not yet become a position or nothing."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="reservation")
    amount = ExactDecimalField()
    notional = ExactDecimalField()
    released = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta(TenantRow.Meta):
        indexes = [models.Index(fields=["account"], name="reservation_held", condition=Q(released=False))]

    def __str__(self) -> str:
        return f"{self.amount} of {self.account_id}"


class AccountBalance(TenantRow):
    """The venue's last word on an account's money, and how far its reports have been read."""

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="balance")
    total = ExactDecimalField()
    available = ExactDecimalField()
    cursor = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.available} of {self.total}"


class AccountDay(TenantRow):
    """What an account was worth when its day (UTC) began to trade: the base of the fractional daily loss."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    day = models.DateField()
    equity = ExactDecimalField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["account", "day"], name="account_day_unique")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"


class EquityPoint(TenantRow):
    """What an account was worth at a minute, in its currency: its money and the open result at the prices of that moment."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    at = models.DateTimeField()
    equity = ExactDecimalField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["account", "at"], name="equity_point_unique")]
        # What is old, of all accounts: for the job that thins it.
        indexes = [models.Index(fields=["at"], name="equity_point_by_age")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.at:%Y-%m-%dT%H:%MZ} {self.equity}"


class DailyResult(TenantRow):
    """A subscription's closed trades of one day (UTC), folded by `measure`."""

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, db_index=False, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    day = models.DateField()
    trades = models.PositiveIntegerField(default=0)
    wins = models.PositiveIntegerField(default=0)
    gross = ExactDecimalField(default=ZERO)
    fees = ExactDecimalField(default=ZERO)
    net = ExactDecimalField(default=ZERO)

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["subscription", "day"], name="daily_result_unique")]

    def __str__(self) -> str:
        return f"{self.subscription_id} {self.day} {self.net}"
