"""Trading accounts of tenants, and the books of the paper venue, which is another party and knows no tenant."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from signalist.accounts.grant_models import AccountGrant  # noqa: F401  # Django looks for models here
from signalist.clock import utc_now
from signalist.db.fields import ExactDecimalField
from signalist.venues.loopback.venue import LOOPBACK
from signalist.venues.paper.venue import PAPER
from tenants.models import Credential
from tenants.rows import TenantRow


class AccountState(models.TextChoices):
    """The kill switch of an account: ACTIVE, REDUCING (exits only), HALTED (nothing but cancels); resumed by hand."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Account(TenantRow):
    """A trading account at a venue. Paper or live is decided by the venue that opens it, never by an `if`.

    `is_play_money`: it was connected at a server that speaks as its venue does and trades play money. It stays so, whatever the settings
    name later: what it has traded is never counted as real.
    `own_fees` are those that its venue told it pays itself: `at`, and `rates` by symbol, taker's and maker's (`accounts.own_fees`).
    `deposit` is what a paper account is to be opened with: the engine asks the paper venue to open those that it does not know yet.
    `lease_owner` is the engine that decides for it and talks to its venue, None for none; `lease_token` grows with every change of hands.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100)
    venue = models.CharField(max_length=20)
    venue_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=15)
    deposit = ExactDecimalField(null=True, blank=True)
    credential = models.ForeignKey(Credential, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_play_money = models.BooleanField(default=False, editable=False)
    own_fees = models.JSONField(default=dict, editable=False)
    state = models.CharField(max_length=10, choices=AccountState.choices, default=AccountState.ACTIVE)
    state_reason = models.CharField(max_length=200, blank=True)
    stopped_by_operator = models.BooleanField(default=False)
    lease_owner = models.UUIDField(null=True, blank=True, editable=False, db_index=True)
    lease_token = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=utc_now)

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["venue", "venue_ref"], name="account_ref_unique")]
        permissions = [("trade_account", "Can trade on the account")]

    def __str__(self) -> str:
        return f"{self.name} ({self.venue})"

    @property
    def is_paper(self) -> bool:
        """Whether no real money is in it: the paper venue's accounts, and those at servers that trade play money."""
        return on_paper(self.venue, self.is_play_money)


def on_paper(venue: str, is_play_money: bool) -> bool:
    """The same, of these columns of an account."""
    return is_play_money or venue in (PAPER, LOOPBACK)


class InquiryState(models.TextChoices):
    """WAITING until the engine that holds the account has asked; FAILED says why in `problem`."""

    WAITING = "WAITING"
    ANSWERED = "ANSWERED"
    FAILED = "FAILED"


class Inquiry(TenantRow):
    """What somebody wants to hear from an account's venue now. The engine that holds the account asks, and writes here what it heard.

    `answer` holds the money (`currency total available` as decimal strings), `rights` and `seen_from` where the venue tells them, and how
    many orders and positions are open there. `latency_ms` is how long the venue took for all of it.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="inquiries")
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, db_index=False, related_name="+"
    )
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=InquiryState.choices, default=InquiryState.WAITING)
    answered_at = models.DateTimeField(null=True, editable=False)
    latency_ms = models.PositiveIntegerField(null=True, editable=False)
    answer = models.JSONField(default=dict, editable=False)
    problem = models.CharField(max_length=200, blank=True, editable=False)

    class Meta(TenantRow.Meta):
        indexes = [models.Index(fields=["account"], condition=Q(state="WAITING"), name="inquiry_waiting")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.state}"


class AccountHealth(TenantRow):
    """How an account's venue answers the engine that holds it. `since`: how long it has been up, or down; `interruptions`: how often what
    it says was not heard for a while, since that engine holds the account."""

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="health")
    is_up = models.BooleanField()
    since = models.DateTimeField()
    seen_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    interruptions = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.account_id} {'up' if self.is_up else 'down'}"


class VenueNonces(models.Model):
    """How far the nonces of a credential are on record: whoever sends in its name takes the next ones from there."""

    credential = models.CharField(max_length=120, unique=True)
    reserved_to = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.credential} to {self.reserved_to}"


class VenueBan(models.Model):
    """A door of a venue at which nobody knocks before `until`: what it said (418, 429 with Retry-After) outlives the process that heard."""

    door = models.CharField(max_length=200, unique=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.door} until {self.until:%H:%M:%S}"


class PaperDesk(models.Model):
    """The paper venue's one row: its lock, the number of its last transaction, and how far it has worked through each symbol's candles."""

    version = models.BigIntegerField(default=0)
    cursors = models.JSONField(default=dict)

    def __str__(self) -> str:
        return "paper desk"


class PaperAccount(models.Model):
    """An account in the paper venue's books."""

    ref = models.CharField(max_length=64, unique=True)
    currency = models.CharField(max_length=15)
    cash = ExactDecimalField()

    def __str__(self) -> str:
        return self.ref


class PaperPosition(models.Model):
    """A net position in the paper venue's books; quantity and value are signed."""

    ref = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40)
    quantity = ExactDecimalField()
    value = ExactDecimalField()
    margin = ExactDecimalField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ref", "symbol"], name="paper_position_unique")]

    def __str__(self) -> str:
        return f"{self.ref} {self.symbol} {self.quantity}"


class PaperOrder(models.Model):
    """An order in the paper venue's books."""

    client_order_id = models.CharField(max_length=36)
    venue_order_id = models.CharField(max_length=40)
    ref = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4)
    type = models.CharField(max_length=12)
    quantity = ExactDecimalField()
    price = ExactDecimalField(null=True)
    trigger = ExactDecimalField(null=True)
    reduce_only = models.BooleanField()
    leverage = ExactDecimalField()
    tag = models.CharField(max_length=120)
    active_from = models.DateTimeField()
    status = models.CharField(max_length=10)
    filled = ExactDecimalField()
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        # Not `unique=True`: on PostgreSQL that makes a second index, for patterns, which each change of a row would have to write.
        constraints = [models.UniqueConstraint(fields=["client_order_id"], name="paper_order_client_order_id")]
        indexes = [
            models.Index(
                fields=["symbol"], name="paper_order_open", condition=models.Q(status__in=["WORKING", "PARTIAL"])
            ),
            models.Index(
                fields=["ref"], name="paper_order_open_ref", condition=models.Q(status__in=["WORKING", "PARTIAL"])
            ),
        ]

    def __str__(self) -> str:
        return self.client_order_id


class PaperTape(models.Model):
    """The tape of a paper account: fills, and changes of orders that the venue made; its id is the report cursor."""

    ref = models.CharField(max_length=64)
    client_order_id = models.CharField(max_length=36)
    venue_order_id = models.CharField(max_length=40)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4)
    status = models.CharField(max_length=10)
    order_quantity = ExactDecimalField()
    filled = ExactDecimalField()
    reason = models.CharField(max_length=200, blank=True)
    time = models.DateTimeField()
    fill_id = models.CharField(max_length=80, blank=True)
    quantity = ExactDecimalField()
    price = ExactDecimalField()
    fee = ExactDecimalField()
    balance = ExactDecimalField()
    available = ExactDecimalField()

    class Meta:
        indexes = [models.Index(fields=["ref", "id"], name="paper_tape_ref")]

    def __str__(self) -> str:
        return f"{self.ref} {self.pk}"
