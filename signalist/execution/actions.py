"""What a person may command of open positions: close one, close all, flatten an account, stop everything. Commands become instructions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from signalist.accounts.models import Account, AccountState
from signalist.db.wakes import ring_on_commit
from signalist.domain.errors import DomainError
from signalist.domain.orders import ACTIVE, Leg, OrderStatus, opening_side
from signalist.domain.signals import Direction
from signalist.execution.commands import exit_of
from signalist.risk.actions import Where, switch
from signalist.risk.models import Layer
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
    entering: Sequence[Order] = (),
) -> Instruction:
    with transaction.atomic():
        entering = list(entering)
        alone = positions[0].subscription_id if len(positions) == 1 else None
        instruction, made = command(kind, account, key, reason, now, by, subscription_id=alone)
        if made and kind is InstructionKind.FLATTEN:
            entering = _withdraw_entries(account, undecided, {p.subscription_id for p in positions}, now)
        if made:
            # What an entry fills all the same is closed, too: its exit waits for its fate, and comes to nothing where there is nothing.
            exits = [exit_of(instruction, position, Direction(position.direction), now) for position in positions]
            exits += [exit_of(instruction, order, _opens(order), now) for order in entering]
            Execution.objects.bulk_create(exits)
            told(instruction, now, positions=len(positions))
            ring_on_commit("decide")
    return instruction


def _withdraw_entries(
    account: Account, undecided: Sequence[Execution], holding: Collection[int], now: datetime
) -> list[Order]:
    """What is about to open a position is taken back: decisions not yet made (locked), and entries under way.

    Returns the entries of subscriptions that do not hold anything yet: what they fill all the same is closed, too.
    """
    Execution.objects.filter(pk__in=[execution.pk for execution in undecided]).update(
        status=ExecutionStatus.SKIPPED, rule="flattened", numbers={}, decided_at=now
    )
    entries = Order.objects.filter(account=account, leg=Leg.ENTRY.value, status__in=[s.value for s in ACTIVE])
    entries.update(cancel_wanted=True)
    ring_on_commit("place")
    return _sent(entries, holding)


def _sent(entries: QuerySet[Order], holding: Collection[int]) -> list[Order]:
    """Of each subscription that is not `holding` one of these entries that the venue may have."""
    at_venue = entries.exclude(status=OrderStatus.CREATED.value).exclude(subscription__in=holding)
    return list({order.subscription_id: order for order in at_venue.order_by("pk")}.values())


def _opens(entry: Order) -> Direction:
    return Direction.LONG if entry.side == opening_side(Direction.LONG) else Direction.SHORT


# --- The kill switch with what may be done beside it ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Beside:
    """What is done beside throwing a switch: entries that work at venues are withdrawn; open positions are closed at market."""

    cancel_entries: bool = False
    close_positions: bool = False


def kill(
    where: Where,
    state: AccountState,
    reason: str,
    now: datetime,
    *,
    who: str = "",
    by: User | None = None,
    beside: Beside = Beside(),
    operator: bool = False,
    may_release: bool = True,
) -> int:
    """Throw or release the switch of a layer; returns how many accounts had entries withdrawn or positions closed.

    The switch is in force before anything else is done, and each account then has a transaction of its own: a platform of many
    accounts is stopped at once and swept within seconds. Closing goes past a halt: it is an emergency exit. Raises DomainError.
    For `operator` and `may_release` see `switch`.
    """
    if state == AccountState.ACTIVE and beside != Beside():
        raise DomainError("Resuming closes and withdraws nothing; leave the options out.")
    switch(where, state, reason, now, who=who, by=by, operator=operator, may_release=may_release)
    accounts = _swept_accounts(where, beside)

    def sweep() -> None:
        for pk in accounts:
            _swept(where, pk, reason, now, by, beside)

    transaction.on_commit(sweep)
    return len(accounts)


def _under(where: Where) -> dict[str, object]:
    """What positions and orders under a layer have in common."""
    under: dict[Layer, dict[str, object]] = {
        Layer.PLATFORM: {},
        Layer.STRATEGY: {"subscription__strategy": where.strategy},
        Layer.TENANT: {"tenant_id": where.tenant_id},
        Layer.ACCOUNT: {"account": where.account},
        Layer.SUBSCRIPTION: {"subscription": where.subscription},
    }
    return under[where.layer]


def _swept_accounts(where: Where, beside: Beside) -> list[int]:
    found: set[int] = set()
    if beside.cancel_entries:
        found |= set(_entering(where).values_list("account_id", flat=True))
    if beside.close_positions:
        held = Position.objects.filter(is_open=True, **_under(where))
        found |= set(held.values_list("account_id", flat=True)) | set(
            _entering(where).values_list("account_id", flat=True)
        )
    return sorted(found)


def _entering(where: Where) -> QuerySet[Order]:
    return Order.objects.filter(leg=Leg.ENTRY.value, status__in=[s.value for s in ACTIVE], **_under(where))


@transaction.atomic
def _swept(where: Where, account_id: int, reason: str, now: datetime, by: User | None, beside: Beside) -> bool:
    """One account, under its lock; whether there was anything to do."""
    account = Account.objects.select_for_update(no_key=True).get(pk=account_id)
    done = 0
    if beside.cancel_entries:
        done += _entering(where).filter(account=account).update(cancel_wanted=True)
        ring_on_commit("place")
    if beside.close_positions:
        held = Position.objects.filter(is_open=True, is_closing=False, **_under(where)).filter(account=account)
        positions = list(held.order_by("pk"))
        every = Position.objects.filter(is_open=True, account=account).values_list("subscription_id", flat=True)
        entering = _sent(_entering(where).filter(account=account), set(every))
        if positions or entering:
            key = f"kill:{where.layer.lower()}:{account.public_id}:{now.isoformat()}"
            said = f"kill switch: {reason}"[:200]
            _instruct(InstructionKind.EMERGENCY, account, positions, key, said, now, by, entering=entering)
            done += len(positions) + len(entering)
    return done > 0
