"""What followers do about signals that were missed in an outage: hold, close or ask, as each has chosen. Nothing old is traded.

A gap that has been judged is answered once for every subscription that followed through it, in batches under the accounts' locks; the
unique row of `Missed` makes it once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from signalist.accounts.models import Account, AccountState
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import NAMESPACE
from signalist.domain.signals import Direction, SignalKind
from signalist.events.outbox import HIGH, Fact, emit
from signalist.risk.actions import Where, switch
from signalist.risk.models import Missed
from signalist.strategies.models import Gap
from signalist.trading.models import (
    AfterOutage,
    Execution,
    Instruction,
    InstructionKind,
    Position,
    Subscription,
    SubscriptionStatus,
)

BATCH = 100
WHO = "the engine, after an outage"


def answer_gaps(now: datetime) -> int:
    """Answer every gap that has been judged; returns how many subscriptions had missed something."""
    answered = 0
    for gap in Gap.objects.filter(judged_at__isnull=False, answered_at__isnull=True).order_by("pk"):
        behind: tuple[int, int] | None = (0, 0)
        while behind is not None:
            count, behind = _answer_batch(gap, behind, now)
            answered += count
        with unit("missed.answered"):
            Gap.objects.filter(pk=gap.pk).update(answered_at=now)
    return answered


def _answer_batch(gap: Gap, behind: tuple[int, int], now: datetime) -> tuple[int, tuple[int, int] | None]:
    """Those behind this (account, id): how many, and what to go on behind, None where nothing is left."""
    with unit("missed.answer"):
        followers = _followers(gap, behind)
        if not followers:
            return 0, None
        left = (followers[-1].account_id, followers[-1].pk) if len(followers) == BATCH else None
        accounts = sorted({follower.account_id for follower in followers})
        fast.select_ids(Account, accounts, lock="update")
        # Only now: who has been answered already, and what is held, stand still under the locks.
        known = {
            row.subscription_id
            for row in fast.select_ids(Missed, _ids(followers), f"gap_id = {gap.pk}", column="subscription_id")
        }
        held = {p.subscription_id: p for p in fast.select_ids(Position, accounts, "is_open", column="account_id")}
        rows = [
            _missed(gap, follower, held.get(follower.pk), now)
            for follower in followers
            if follower.pk not in known and (follower.status != SubscriptionStatus.ENDED or follower.pk in held)
        ]
        fast.insert(rows)
        _close([(row, held[row.subscription_id]) for row in rows if row.closed], gap, now)
        for follower in _named(followers, [row for row in rows if row.asked]):
            reason = f"{gap.candles} candles were missed until {gap.last_close:%Y-%m-%d %H:%M} UTC; resume when you have looked"
            switch(Where.of_subscription(follower), AccountState.REDUCING, reason, now, who=WHO, only_stricter=True)
        emit([_told(row, gap, held.get(row.subscription_id), now) for row in rows])
    return len(rows), left


def _followers(gap: Gap, behind: tuple[int, int]) -> list[Subscription]:
    """Who followed through the gap, in the order of their accounts."""
    began = fast.prepared(Subscription, "started_at", gap.last_close)
    return fast.select(
        Subscription,
        "schedule_id = %s AND started_at <= %s AND (account_id, id) > (%s, %s) ORDER BY account_id, id LIMIT %s",
        [gap.schedule_id, began, *behind, BATCH],
    )


def _ids(followers: Sequence[Subscription]) -> list[int]:
    return sorted(follower.pk for follower in followers)


def _named(followers: Sequence[Subscription], rows: Sequence[Missed]) -> list[Subscription]:
    wanted = {row.subscription_id for row in rows}
    return [follower for follower in followers if follower.pk in wanted]


def _missed(gap: Gap, follower: Subscription, position: Position | None, now: datetime) -> Missed:
    exits: Mapping[str, datetime | None] = {
        Direction.LONG.value: gap.exit_long_at,
        Direction.SHORT.value: gap.exit_short_at,
    }
    exit_at = None if position is None else exits[position.direction]
    if exit_at is not None and position is not None and exit_at < position.opened_at:
        exit_at = None  # it was not about this position
    closes = follower.after_outage == AfterOutage.CLOSE and exit_at is not None
    return Missed(
        tenant_id=follower.tenant_id,
        subscription_id=follower.pk,
        gap=gap,
        choice=follower.after_outage,
        exit_at=exit_at,
        closed=closes and position is not None and not position.is_closing,
        asked=follower.after_outage == AfterOutage.ASK and follower.status != SubscriptionStatus.ENDED,
        at=now,
    )


def _close(closing: Sequence[tuple[Missed, Position]], gap: Gap, now: datetime) -> None:
    """Instructions and their executions; `decide` closes."""
    instructions = []
    for row, position in closing:
        key = f"missed:{gap.pk}:{row.subscription_id}"
        made = Instruction(tenant_id=row.tenant_id, key=key, kind=InstructionKind.CLOSE, created_at=now)
        made.public_id = uuid.uuid5(NAMESPACE, f"{position.account_id}:{key}")
        made.account_id, made.subscription_id = position.account_id, position.subscription_id
        made.reason = f"the strategy's exit of {row.exit_at:%Y-%m-%d %H:%M} UTC was missed in an outage"
        instructions.append(made)
    if not instructions:
        return
    fast.insert(instructions, returning=True)
    executions = []
    for (row, position), made in zip(closing, instructions, strict=True):
        kind = SignalKind.EXIT_LONG if position.direction == Direction.LONG else SignalKind.EXIT_SHORT
        one = Execution(tenant_id=row.tenant_id, instruction=made, kind=kind.value, created_at=now)
        one.subscription_id, one.account_id = position.subscription_id, position.account_id
        executions.append(one)
    fast.insert(executions)
    ring_on_commit("decide", everywhere=True)


def _told(row: Missed, gap: Gap, position: Position | None, now: datetime) -> Fact:
    """An alarm where it is the follower's turn: they are asked, or hold what the strategy would have closed. What is being closed already
    waits for nobody."""
    is_held = position is not None and row.exit_at is not None and not row.closed and not position.is_closing
    payload = {"subscription": row.subscription_id, "choice": row.choice}
    payload |= {"candles": gap.candles, "entries": gap.entries}
    payload |= {"since": gap.first_close.isoformat(), "until": gap.last_close.isoformat()}
    payload |= {"exit": row.exit_at is not None, "held": is_held, "closed": row.closed, "asked": row.asked}
    return Fact("signals_missed", row.tenant_id, now, payload | {"severity": HIGH if is_held or row.asked else "INFO"})
