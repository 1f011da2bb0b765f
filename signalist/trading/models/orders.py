"""Orders and every request about them."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.domain.money import ZERO
from signalist.domain.orders import Leg, OrderStatus, OrderType, Side
from signalist.markets.models import Instrument
from signalist.trading.models.common import ACTIVE_ORDER, ORDER_TURN, STATES, unindexed_tenant
from signalist.trading.models.decisions import Execution
from signalist.trading.models.positions import Position
from signalist.trading.models.subscriptions import Subscription
from tenants.rows import TenantRow


class Order(TenantRow):
    """One order. Natural key (execution, leg, n); `client_order_id` is made from it, so a replay gives the same one.

    `superseded`: a stop or target that turned up at the venue after it had been given up and another had taken its place. It protects
    nothing that we count on, and is taken down. `rung` tells the targets of a ladder apart; 0 is the signal's own.

    `nameless`: it was sent to a venue that knows no ids of ours, and is known there by `venue_order_id` alone.
    `watched`: the engine keeps it to itself, CREATED, until the market reaches its trigger; it then becomes a market order and is sent like
    any other. `price_at` is then when the price was made that reached it, `reaction_ms` how long it took from there to the sending.

    `attempts` counts what was asked of the venue about it, `setbacks` how often in a row that came to nothing.
    """

    tenant = unindexed_tenant()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, db_index=False, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False, related_name="+")
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, db_index=False, related_name="orders")
    position = models.ForeignKey(Position, null=True, on_delete=models.PROTECT, db_index=False, related_name="orders")
    leg = models.CharField(max_length=6)
    rung = models.PositiveSmallIntegerField(default=0)
    n = models.PositiveSmallIntegerField(default=0)
    client_order_id = models.CharField(max_length=36)
    venue_order_id = models.CharField(max_length=64, blank=True)
    nameless = models.BooleanField(default=False)
    tag = models.CharField(max_length=120)
    side = models.CharField(max_length=4)
    type = models.CharField(max_length=12)
    quantity = ExactDecimalField()
    wanted_quantity = ExactDecimalField(null=True)
    price = ExactDecimalField(null=True)
    trigger = ExactDecimalField(null=True)
    wanted_trigger = ExactDecimalField(null=True)
    watched = models.BooleanField(default=False)
    price_at = models.DateTimeField(null=True)
    reaction_ms = models.FloatField(null=True)
    reduce_only = models.BooleanField(default=False)
    leverage = ExactDecimalField(default=Decimal(1))
    reference_price = ExactDecimalField(null=True)
    status = models.CharField(max_length=9, default=OrderStatus.CREATED.value)
    cancel_wanted = models.BooleanField(default=False)
    superseded = models.BooleanField(default=False)
    filled = ExactDecimalField(default=ZERO)
    filled_value = ExactDecimalField(default=ZERO)
    fees = ExactDecimalField(default=ZERO)
    reason = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    setbacks = models.PositiveSmallIntegerField(default=0)
    looks = models.PositiveSmallIntegerField(default=0)
    sender = models.UUIDField(null=True)
    busy = models.BooleanField(default=False)
    not_before = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(fields=["execution", "leg", "n"], name="order_natural_key"),
            # Not `unique=True`: on PostgreSQL that makes a second index, for patterns, which each change of a row would have to write.
            models.UniqueConstraint(fields=["client_order_id"], name="order_client_order_id"),
            models.UniqueConstraint(
                fields=["position"],
                condition=Q(leg="STOP", status__in=ACTIVE_ORDER, superseded=False),
                name="order_one_active_stop",
            ),
            models.UniqueConstraint(
                fields=["position", "rung"],
                condition=Q(leg="TARGET", status__in=ACTIVE_ORDER, superseded=False),
                name="order_one_active_target",
            ),
            # What is one order at the venue is one of ours. At venues that are told our id, that id makes it so.
            models.UniqueConstraint(
                fields=["venue_order_id", "account"],
                condition=Q(nameless=True) & ~Q(venue_order_id=""),
                name="order_nameless_once",
            ),
            models.CheckConstraint(condition=Q(status__in=[s.value for s in OrderStatus]), name="order_status_known"),
        ]
        indexes = [
            # Small indexes over what is under way; finished orders, which are nearly all, are in none of them.
            models.Index(fields=["status"], name="order_under_way", condition=Q(status__in=ACTIVE_ORDER)),
            models.Index(fields=["account"], name="order_active", condition=Q(status__in=ACTIVE_ORDER)),
            models.Index(
                RawSQL(ORDER_TURN, []),  # noqa: S611 a constant of ours
                F("id"),
                name="order_waits",
                condition=Q(status__in=ACTIVE_ORDER, busy=False, watched=False)
                & (Q(status=OrderStatus.CREATED.value) | Q(cancel_wanted=True) | Q(wanted_quantity__isnull=False)),
            ),
            models.Index(fields=["position", "leg"], name="order_of_position"),
            models.Index(fields=["tenant", "created_at"], name="order_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.leg} {self.side} {self.quantity} {self.status}"

    @property
    def state(self) -> OrderStatus:
        return STATES[self.status]

    @property
    def is_triggered(self) -> bool:
        """Whether this is a watched stop or target that the market has reached: a market order from then on."""
        return self.price_at is not None

    @property
    def words(self) -> tuple[Leg, Side, OrderType]:
        """Leg, side and type as the core spells them."""
        return Leg(self.leg), Side(self.side), OrderType(self.type)


class AttemptAction(models.TextChoices):
    """What was asked of the venue."""

    PLACE = "PLACE"
    CANCEL = "CANCEL"
    AMEND = "AMEND"


class OrderAttempt(TenantRow):
    """One request to the venue: committed before the bytes leave, completed with the answer (EXE-25). `response_code` is the status of an
    answer over HTTP; None where nothing was answered, or not over that."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.PositiveSmallIntegerField()
    action = models.CharField(max_length=6, choices=AttemptAction.choices)
    request = models.JSONField()
    response = models.JSONField(null=True)
    response_code = models.PositiveSmallIntegerField(null=True)
    success = models.BooleanField(null=True)
    error_type = models.CharField(max_length=50, blank=True)
    error_message = models.CharField(max_length=300, blank=True)
    latency_ms = models.FloatField(null=True)
    engine = models.UUIDField()
    sent_at = models.DateTimeField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["order", "number"], name="order_attempt_unique")]

    def __str__(self) -> str:
        return f"{self.action} {self.number} of {self.order_id}"
