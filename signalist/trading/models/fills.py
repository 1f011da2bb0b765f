"""The append-only ledger of fills, and the trades that they close."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.markets.models import Instrument
from signalist.trading.models.common import unindexed_tenant
from signalist.trading.models.orders import Order
from signalist.trading.models.positions import Position
from signalist.trading.models.subscriptions import Subscription
from tenants.rows import TenantRow


class Fill(TenantRow):
    """One fill, append-only. `venue_fill_id` makes a report that comes twice one fill.

    `fee` is what the venue told. Where that is of another currency than its market's, `booked_fee` is what of it counts in our sums.
    """

    append_only: ClassVar[bool] = True

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    position = models.ForeignKey(Position, null=True, on_delete=models.PROTECT, related_name="fills")
    venue_fill_id = models.CharField(max_length=80)
    side = models.CharField(max_length=4)
    quantity = ExactDecimalField()
    price = ExactDecimalField()
    fee = ExactDecimalField()
    fee_currency = models.CharField(max_length=15)
    booked_fee = ExactDecimalField(null=True)
    time = models.DateTimeField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["venue_fill_id", "account"], name="fill_once")]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price}"

    @property
    def cost(self) -> Decimal:
        """What of its fee counts, in quote currency (`trading.fees`)."""
        counts: Decimal = self.fee if self.booked_fee is None else self.booked_fee
        return counts


class ExitType(models.TextChoices):
    """Why a position was closed (MON-03)."""

    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"
    SIGNAL = "SIGNAL"
    MANUAL = "MANUAL"
    EMERGENCY = "EMERGENCY"
    TIME_EXIT = "TIME_EXIT"
    DUST = "DUST"


class Trade(TenantRow):
    """A closed round trip, net of fees; amounts in `currency`."""

    tenant = unindexed_tenant()
    position = models.OneToOneField(Position, on_delete=models.PROTECT, related_name="trade")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False, related_name="+")
    direction = models.CharField(max_length=5)
    quantity = ExactDecimalField()
    entry_price = ExactDecimalField()
    exit_price = ExactDecimalField()
    gross = ExactDecimalField()
    fees = ExactDecimalField()
    net = ExactDecimalField()
    currency = models.CharField(max_length=15)
    exit_type = models.CharField(max_length=12, choices=ExitType.choices)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField()
    measured = models.BooleanField(default=False)

    class Meta(TenantRow.Meta):
        indexes = [
            models.Index(fields=["measured"], name="trade_to_measure", condition=Q(measured=False)),
            models.Index(fields=["tenant", "closed_at"], name="trade_by_close"),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.quantity} {self.net} {self.currency}"
