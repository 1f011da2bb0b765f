"""Decisions as people read them: what was answered to a signal or a command, by which rule, with which numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.trading.decision_words import Facts, Reason, reason
from signalist.trading.labels import Follower, Market, attach_followers
from signalist.trading.models import AccountDay, Execution, ExecutionStatus
from signalist.trading.order_book import Cause
from signalist.trading.selectors import attach_causes
from tenants.models import User

RECENT = 12
IDLE = "no_position"
"""The rule of an exit that had nothing to exit: most exits, and of no consequence."""

GIVEN = (ExecutionStatus.TAKEN, ExecutionStatus.RESIZED)


@dataclass(frozen=True, slots=True)
class Decision:
    """One subscription's answer. Quantities are in the market's base, prices and the loss at the stop in its quote currency."""

    id: int
    status: str
    kind: str
    at: datetime
    reason: Reason
    market: Market
    follower: Follower
    cause: Cause
    wanted: Decimal | None
    given: Decimal
    price: Decimal | None
    stop: Decimal | None
    target: Decimal | None
    loss_at_stop: Decimal | None

    @property
    def is_entry(self) -> bool:
        return self.kind in ("LONG", "SHORT")

    @property
    def is_given(self) -> bool:
        """Whether it became an order."""
        return self.status in GIVEN


def decisions_of(executions: Sequence[Execution]) -> list[Decision]:
    """These executions in words; four queries, and one each more where there are commands, people who gave them, and daily losses."""
    attach_followers(executions)
    _attach_causes(executions)
    days = _days(executions)
    return [
        _decision(row, days.get((row.account_id, row.decided_at.date())) if row.decided_at else None)
        for row in executions
    ]


def recent_decisions(limit: int = RECENT) -> list[Decision]:
    """The newest decisions of the tenant, without exits that had nothing to exit."""
    # Through the manager, which names the tenant: PostgreSQL finds no way into an index from a policy that may let others through.
    return decisions_of(list(Execution.objects.exclude(rule=IDLE).order_by("-pk")[:limit]))


def decisions_about(subscription_id: int, limit: int = RECENT) -> list[Decision]:
    """The newest decisions for one of the tenant's subscriptions, without exits that had nothing to exit."""
    newest = "subscription_id = %s AND decided_at IS NOT NULL AND rule <> %s ORDER BY decided_at DESC, id DESC LIMIT %s"
    return decisions_of(fast.select(Execution, newest, [subscription_id, IDLE, limit]))


def _attach_causes(executions: Sequence[Execution]) -> None:
    """Signals and commands, these with who gave them."""
    attach_causes(executions, subscriptions=False)
    commands = [e.instruction for e in executions if e.instruction is not None]
    people = User.objects.in_bulk({command.by_id for command in commands if command.by_id})
    for command in commands:
        command.by = people.get(command.by_id or 0)


def _days(executions: Sequence[Execution]) -> dict[tuple[int, object], Decimal]:
    """What accounts were worth when the days began on which a daily loss decided: its limit may be a fraction of that."""
    asked = {(e.account_id, e.decided_at.date()) for e in executions if e.rule == "daily_loss" and e.decided_at}
    if not asked:
        return {}
    found = AccountDay.objects.filter(account__in={key for key, _ in asked}, day__in={day for _, day in asked})
    return {(row.account_id, row.day): row.equity for row in found}


def _decision(row: Execution, day_equity: Decimal | None) -> Decision:
    market = Market.of(row.subscription.instrument)
    facts = Facts(row.status, row.rule, row.kind, row.numbers or {}, market, day_equity)
    given = row.quantity if row.status in GIVEN and row.quantity is not None else ZERO
    return Decision(
        id=row.pk,
        status=row.status,
        kind=row.kind,
        at=row.decided_at or row.created_at,
        reason=reason(facts),
        market=market,
        follower=Follower.of(row.subscription),
        cause=Cause.of(row),
        wanted=facts.number("asked"),
        given=given,
        price=row.price,
        stop=row.stop,
        target=row.target,
        loss_at_stop=facts.number("loss_at_stop") if given else None,
    )
