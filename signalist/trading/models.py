"""The rows of the money path: who follows what, each decision, its orders and fills, and what is folded from the fills.

Foreign keys that no query starts from have no index of their own (db_index=False): every index is paid for at every write.
Fills are an append-only ledger; positions, trades and daily results are projections of it (`manage.py rebuild --check`).
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.domain.money import ZERO
from signalist.domain.orders import ACTIVE, Leg, OrderStatus, OrderType, Side
from signalist.domain.positions import Holding
from signalist.domain.protection import Plan, ladder_of
from signalist.domain.rules import Limits
from signalist.domain.signals import Direction, SignalKind
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule, Signal, Strategy
from signalist.trading.discrepancies import AccountLook, Discrepancy, ForeignFill  # noqa: F401 models of this app, too
from tenants.rows import TenantRow

ACTIVE_ORDER = [status.value for status in OrderStatus if status in ACTIVE]
_STATES = {status.value: status for status in OrderStatus}
STILL_ACTIVE = "status IN ({})".format(", ".join(f"'{status}'" for status in ACTIVE_ORDER))
"""The same as a condition of plain SQL; word for word that of the partial indexes, so that they are used."""


def _unindexed_tenant() -> models.ForeignKey[Any, Any]:
    """The tenant of a row that has an index of its own which begins with the tenant."""
    return models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+")


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

    tenant = _unindexed_tenant()
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


class Position(TenantRow):
    """Open exposure of a subscription in one instrument, folded from fills; kept when closed. One is open at a time.

    An execution makes one position, and another where the rest of its entry fills after the first was closed. `leverage` is that of
    the entry, with which the position is held; the subscription's own may change later. `first_stop` is where the stop stood at first,
    `stop` where it stands now. `watched`: prices or time may call for something that no venue sees to. `blind_since`: when the engine
    lost sight of the price of a watched one. `dust` is what was left under the venue's minimum when it was closed.
    `lost_stops` counts stops that the venue took away soon after they were placed.
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


class Order(TenantRow):
    """One order. Natural key (execution, leg, n); `client_order_id` is made from it, so a replay gives the same one.

    `superseded`: a stop or target that turned up at the venue after it had been given up and another had taken its place. It protects
    nothing that we count on, and is taken down. `rung` tells the targets of a ladder apart; 0 is the signal's own.

    `nameless`: it was sent to a venue that knows no ids of ours, and is known there by `venue_order_id` alone.
    `watched`: the engine keeps it to itself, CREATED, until the market reaches its trigger; it then becomes a market order and is sent like
    any other. `price_at` is then when the price was made that reached it, `reaction_ms` how long it took from there to the sending.

    `attempts` counts what was asked of the venue about it, `setbacks` how often in a row that came to nothing.
    """

    tenant = _unindexed_tenant()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, db_index=False, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False, related_name="+")
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, db_index=False, related_name="orders")
    position = models.ForeignKey(Position, null=True, on_delete=models.PROTECT, db_index=False, related_name="orders")
    leg = models.CharField(max_length=6)
    rung = models.PositiveSmallIntegerField(default=0)
    n = models.PositiveSmallIntegerField(default=0)
    client_order_id = models.CharField(max_length=36, unique=True)
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
            models.Index(fields=["position", "leg"], name="order_of_position"),
            models.Index(fields=["tenant", "created_at"], name="order_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.leg} {self.side} {self.quantity} {self.status}"

    @property
    def state(self) -> OrderStatus:
        return _STATES[self.status]

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
    """One request to the venue: committed before the bytes leave, completed with the answer (EXE-25)."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.PositiveSmallIntegerField()
    action = models.CharField(max_length=6, choices=AttemptAction.choices)
    request = models.JSONField()
    response = models.JSONField(null=True)
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


class Fill(TenantRow):
    """One fill, append-only. `venue_fill_id` makes a report that comes twice one fill."""

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
    time = models.DateTimeField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["venue_fill_id", "account"], name="fill_once")]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price}"


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

    tenant = _unindexed_tenant()
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


class SignalRecord(models.Model):
    """What the trades that followed one signal came to, for everybody to see: it has no tenant and nothing in it tells whose they were.

    Sums over `trades` closed trades: `return_total` of net ÷ capital; `r_total` of net ÷ risk at entry, over the `with_stop` trades that
    had a stop; `slippage_total` of the entry's distance from the decided price, as a fraction, positive when paid; `delay_ms_total` of
    the time from the candle's close to the first fill. Folded by `measure`.
    """

    signal = models.ForeignKey(Signal, on_delete=models.PROTECT, db_index=False, related_name="+")
    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, db_index=False, related_name="+")
    is_paper = models.BooleanField()
    trades = models.PositiveIntegerField(default=0)
    wins = models.PositiveIntegerField(default=0)
    with_stop = models.PositiveIntegerField(default=0)
    return_total = ExactDecimalField(default=ZERO)
    r_total = ExactDecimalField(default=ZERO)
    slippage_total = ExactDecimalField(default=ZERO)
    delay_ms_total = models.BigIntegerField(default=0)
    last_closed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["signal", "is_paper"], name="signal_record_unique")]
        indexes = [models.Index(fields=["schedule", "last_closed_at"], name="signal_record_by_time")]

    def __str__(self) -> str:
        return f"{self.signal_id} {'paper' if self.is_paper else 'live'} {self.trades}"


class Following(models.Model):
    """How many accounts follow a strategy now: a number for everybody to see, without a tenant. Kept by `subscribe` and `cancel`."""

    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, db_index=False, related_name="+")
    is_paper = models.BooleanField()
    followers = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["strategy", "is_paper"], name="following_unique")]

    def __str__(self) -> str:
        return f"{self.followers} follow {self.strategy_id}"
