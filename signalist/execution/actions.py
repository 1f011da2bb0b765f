"""What a person may command of open positions: close one, close all, flatten an account. Commands become instructions and executions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from signalist.accounts.models import Account
from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import ACTIVE, Leg
from signalist.domain.signals import Direction, SignalKind
from signalist.trading.actions import pause
from signalist.trading.commands import command, told
from signalist.trading.models import (
    Execution,
    ExecutionStatus,
    Instruction,
    InstructionKind,
    Order,
    Position,
    Subscription,
    SubscriptionStatus,
)
from tenants.models import User


def close(position: Position, key: str, reason: str, now: datetime, by: User | None = None) -> Instruction:
    """Close a position at market; its protection is withdrawn first. The same `key` again is the same command."""
    return _instruct(InstructionKind.CLOSE, position.account, [position], key, reason, now, by)


@transaction.atomic
def close_all(
    account: Account,
    key: str,
    reason: str,
    now: datetime,
    by: User | None = None,
    *,
    subscription: Subscription | None = None,
) -> Instruction:
    """Close every open position of an account, or of one of its subscriptions; what follows strategies goes on."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    positions = Position.objects.filter(account=account, is_open=True).order_by("pk")
    if subscription is not None:
        positions = positions.filter(subscription=subscription)
    return _instruct(InstructionKind.CLOSE, account, list(positions), key, reason, now, by)


@transaction.atomic
def flatten(
    account: Account, key: str, reason: str, now: datetime, by: User | None = None, *, pausing: bool = False
) -> Instruction:
    """Close every open position of an account, and take back what would open another; `pausing`: pause its subscriptions too."""
    # As `decide` does: what is to be decided is locked before its account. A signal that comes now comes after the command.
    entering = Execution.objects.filter(account=account, status=ExecutionStatus.PENDING, kind__in=["LONG", "SHORT"])
    undecided = list(entering.order_by("pk").select_for_update(no_key=True))
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    positions = list(Position.objects.filter(account=account, is_open=True).order_by("pk"))
    if pausing:
        following = Subscription.objects.filter(account=account, strategy__isnull=False)
        for subscription in following.filter(status=SubscriptionStatus.ACTIVE).order_by("pk"):
            pause(subscription, now, by)
    return _instruct(InstructionKind.FLATTEN, account, positions, key, reason, now, by, undecided)


def _instruct(
    kind: InstructionKind,
    account: Account,
    positions: list[Position],
    key: str,
    reason: str,
    now: datetime,
    by: User | None,
    undecided: Sequence[Execution] = (),
) -> Instruction:
    with transaction.atomic():
        alone = positions[0].subscription_id if len(positions) == 1 else None
        instruction, made = command(kind, account, key, reason, now, by, subscription_id=alone)
        if made and kind is InstructionKind.FLATTEN:
            _withdraw_entries(account, undecided, now)
        if made:
            Execution.objects.bulk_create([_exit(instruction, position, now) for position in positions])
            told(instruction, now, positions=len(positions))
            ring_on_commit("decide")
    return instruction


def _withdraw_entries(account: Account, undecided: Sequence[Execution], now: datetime) -> None:
    """What is about to open a position is taken back: decisions not yet made (locked), and entries under way."""
    Execution.objects.filter(pk__in=[execution.pk for execution in undecided]).update(
        status=ExecutionStatus.SKIPPED, rule="flattened", numbers={}, decided_at=now
    )
    entries = Order.objects.filter(account=account, leg=Leg.ENTRY.value, status__in=[s.value for s in ACTIVE])
    entries.update(cancel_wanted=True)
    ring_on_commit("place")


def _exit(instruction: Instruction, position: Position, now: datetime) -> Execution:
    kind = SignalKind.EXIT_LONG if position.direction == Direction.LONG else SignalKind.EXIT_SHORT
    return Execution(
        tenant_id=position.tenant_id,
        subscription_id=position.subscription_id,
        account_id=position.account_id,
        instruction=instruction,
        kind=kind.value,
        created_at=now,
    )
