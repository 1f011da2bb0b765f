"""Open exposure, folded from fills, and how its stop was moved."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.domain.money import ZERO
from signalist.domain.positions import Holding
from signalist.domain.signals import Direction
from signalist.markets.models import Instrument
from signalist.trading.models.decisions import Execution
from signalist.trading.models.subscriptions import Subscription
from tenants.rows import TenantRow


class Position(TenantRow):
    """Open exposure of a subscription in one instrument, folded from fills; kept when closed. One is open at a time.

    An execution makes one position, and another where the rest of its entry fills after the first was closed. `leverage` is that of
    the entry, with which the position is held; the subscription's own may change later. `first_stop` is where the stop stood at first,
    `stop` where it stands now. `watched`: prices or time may call for something that no venue sees to. `blind_since`: when the engine
    lost sight of the price of a watched one. `dust` is what was left under the venue's minimum when it was closed.
    `lost_stops` counts stops that the venue took away soon after they were placed, `refused_stops` tries of a stop in a row that failed
    otherwise, and `bare_since` is since when the position stood without one because of these (`trading.stop_tries`). `exit_rounds` is how
    often closing it was given up.
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False, related_name="+")
    entry_execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="positions")
    direction = models.CharField(max_length=5)
    is_open = models.BooleanField(default=True)
    is_closing = models.BooleanField(default=False)
    quantity = ExactDecimalField()
    entry_quantity = ExactDecimalField()
    entry_value = ExactDecimalField()
    exit_quantity = ExactDecimalField(default=ZERO)
    exit_value = ExactDecimalField(default=ZERO)
    fees = ExactDecimalField(default=ZERO)
    dust = ExactDecimalField(default=ZERO)
    stop = ExactDecimalField(null=True)
    first_stop = ExactDecimalField(null=True)
    target = ExactDecimalField(null=True)
    leverage = ExactDecimalField(default=Decimal(1))
    watched = models.BooleanField(default=False)
    blind_since = models.DateTimeField(null=True)
    lost_stops = models.PositiveSmallIntegerField(default=0)
    protection_due = models.BooleanField(default=True)
    refused_stops = models.PositiveSmallIntegerField(default=0)
    bare_since = models.DateTimeField(null=True)
    exit_rounds = models.PositiveSmallIntegerField(default=0)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "instrument"], condition=Q(is_open=True), name="position_one_open"
            ),
        ]
        indexes = [
            models.Index(fields=["opened_at"], name="position_protection_due", condition=Q(protection_due=True)),
            models.Index(fields=["account"], name="position_open", condition=Q(is_open=True)),
            models.Index(fields=["account"], name="position_watched", condition=Q(is_open=True, watched=True)),
            models.Index(fields=["account"], name="position_dust", condition=~Q(dust=ZERO)),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.quantity} of {self.instrument_id}"

    def holding(self) -> Holding:
        """The position as the pure core knows it."""
        return Holding(
            Direction(self.direction),
            self.entry_quantity,
            self.entry_value,
            self.exit_quantity,
            self.exit_value,
            self.fees,
            self.opened_at,
        )

    def hold(self, holding: Holding) -> None:
        """Take over what the core folded."""
        self.quantity = holding.quantity
        self.entry_quantity, self.entry_value = holding.entry_quantity, holding.entry_value
        self.exit_quantity, self.exit_value = holding.exit_quantity, holding.exit_value
        self.fees = holding.fees


class StopMove(TenantRow):
    """A stop that its protection plan moved: from where (None: there was none) to where, by which rule, at which price of the market."""

    append_only: ClassVar[bool] = True

    position = models.ForeignKey(Position, on_delete=models.PROTECT, related_name="stop_moves")
    was = ExactDecimalField(null=True)
    level = ExactDecimalField()
    price = ExactDecimalField()
    reason = models.CharField(max_length=12)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.reason} {self.level}"
