"""The rows of what an account's venue and our books say differently, until somebody or something has explained it.

A difference is one row while it lasts: per account, symbol and `subject`, which is the order that it is about, `position` or `balance`.
It is never repaired in silence: while it is open it denies entries (`pauses`) and asks; the answer is a person's, and the engine that
holds the account carries it out.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from signalist.accounts.models import Account
from signalist.db.fields import ExactDecimalField
from signalist.domain.money import ZERO
from signalist.markets.models import Instrument
from tenants.rows import TenantRow

POSITION, BALANCE = "position", "balance"
"""The subjects of differences that are not about one order."""
STOCK, UNREAD = "stock", "unread_until"
"""Facts: the venue tells what is held, whoever bought it; and its history was not read before that moment, though that was wanted."""
CURRENCY = "currency"
"""Fact: in which other currency than the account's its venue tells the money; empty where it is the account's."""


class Kind(models.TextChoices):
    """What differs. MANUAL_CLOSE: what we hold was closed by somebody else, in whole or in part. ORDER_CHANGED: an order of ours rests
    there with another price, trigger or quantity than we gave it; its numbers are levels where those differ, else quantities. EXIT_HELD:
    what is to close a position has not left for long."""

    EXTERNAL_ORDER = "EXTERNAL_ORDER"
    LOST_ORDER = "LOST_ORDER"
    ORDER_CHANGED = "ORDER_CHANGED"
    ORDER_IN_DOUBT = "ORDER_IN_DOUBT"
    EXIT_HELD = "EXIT_HELD"
    MANUAL_CLOSE = "MANUAL_CLOSE"
    POSITION_LARGER = "POSITION_LARGER"
    POSITION_SMALLER = "POSITION_SMALLER"
    UNKNOWN_FILL = "UNKNOWN_FILL"
    BALANCE_GAP = "BALANCE_GAP"


class State(models.TextChoices):
    """KEPT: somebody said that it is their own and stays; it is counted in from then on. GONE: it went by itself."""

    OPEN = "OPEN"
    KEPT = "KEPT"
    RESOLVED = "RESOLVED"
    GONE = "GONE"


class Answer(models.TextChoices):
    """What a person may have done about it."""

    ADOPT = "ADOPT"
    CANCEL = "CANCEL"
    KEEP = "KEEP"
    GIVE_UP = "GIVE_UP"
    CHECK = "CHECK"


class Discrepancy(TenantRow):
    """One difference. `ours` and `theirs` are what both sides hold: signed quantities, or amounts of a balance.

    `facts` are the order's terms as text, `looks` how often it was seen. `answer` is what was asked for and not carried out yet;
    `answer_problem` why the last one could not be.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    instrument = models.ForeignKey(Instrument, null=True, on_delete=models.PROTECT, db_index=False, related_name="+")
    symbol = models.CharField(max_length=40, blank=True)
    subject = models.CharField(max_length=80)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    pauses = models.BooleanField(default=True)
    ours = ExactDecimalField(null=True)
    theirs = ExactDecimalField(null=True)
    facts = models.JSONField(default=dict)
    looks = models.PositiveIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    answer = models.CharField(max_length=8, choices=Answer.choices, blank=True)
    answer_price = ExactDecimalField(null=True)
    answer_problem = models.CharField(max_length=200, blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, db_index=False, related_name="+"
    )
    answered_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=200, blank=True)
    closed_at = models.DateTimeField(null=True)

    class Meta(TenantRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["account", "symbol", "subject"], condition=Q(state="OPEN"), name="discrepancy_one_open"
            )
        ]
        indexes = [
            models.Index(fields=["account"], name="discrepancy_standing", condition=Q(state__in=["OPEN", "KEPT"])),
            models.Index(fields=["answer"], name="discrepancy_answered", condition=~Q(answer="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.symbol} {self.subject} {self.state}"

    @property
    def place(self) -> tuple[str, str]:
        """What it is about."""
        return self.symbol, self.subject


class ForeignFill(TenantRow):
    """A fill that a venue reported of an order that is not ours, append-only; adopted, it is booked as a `Fill` under the same id."""

    append_only: ClassVar[bool] = True

    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False, related_name="+")
    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.PROTECT, related_name="fills")
    venue_fill_id = models.CharField(max_length=80)
    venue_order_id = models.CharField(max_length=64, blank=True)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4)
    quantity = ExactDecimalField()
    price = ExactDecimalField()
    fee = ExactDecimalField()
    fee_currency = models.CharField(max_length=15)
    time = models.DateTimeField()

    class Meta(TenantRow.Meta):
        constraints = [models.UniqueConstraint(fields=["account", "venue_fill_id"], name="foreign_fill_once")]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} @ {self.price}"


class AccountLook(TenantRow):
    """The last comparison of an account with its venue.

    `sums` holds a document per symbol: what each subscription holds, what is known to be the user's own, what the venue holds. `base`
    is the account's money without what our trades and open positions brought (`booked_through`: the last trade counted into it).
    """

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="look")
    looked_at = models.DateTimeField()
    agrees = models.BooleanField()
    sums = models.JSONField(default=list)
    orders = models.PositiveIntegerField(default=0)
    total = ExactDecimalField(default=ZERO)
    base = ExactDecimalField(null=True)
    booked_through = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.account_id} {'agrees' if self.agrees else 'differs'}"
