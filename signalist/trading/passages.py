"""A tenant's own way through one instrument's market: its positions there, from entry to exit, and where the open ones would end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.trading.labels import BY_HAND
from signalist.trading.models import Position, Subscription

MOST = 20


@dataclass(frozen=True, slots=True)
class Passage:
    """One position: prices are averages in quote currency, `net` is what is realised after fees. Levels are those of an open one."""

    key: int
    strategy: str
    account: str
    is_paper: bool
    direction: str
    quantity: Decimal
    entry_price: Decimal
    entry_at: datetime
    exit_price: Decimal | None
    exit_at: datetime | None
    net: Decimal
    stop: Decimal | None
    target: Decimal | None

    @property
    def is_open(self) -> bool:
        return self.exit_at is None


def own_passages(
    instrument_id: int, since: datetime, limit: int = MOST, *, until: datetime | None = None
) -> list[Passage]:
    """The positions behind the open door that are open, or were closed at `since` or later (and opened by `until`); newest first. Two
    queries at most.

    Where there are more than `limit`, those that are open come before the newest of the others.
    """
    following = {
        subscription.pk: subscription
        for subscription in Subscription.objects.filter(instrument_id=instrument_id).select_related(
            "strategy", "account"
        )
    }
    if not following:
        return []
    mine, ids = fast.among("subscription_id", sorted(following))
    moments = [fast.prepared(Position, "closed_at", since)]
    closed = "closed_at >= %s"
    if until is not None:
        moments.append(fast.prepared(Position, "opened_at", until))
        closed += " AND opened_at <= %s"
    found = fast.select(
        Position,
        f"{mine} AND (is_open OR ({closed})) ORDER BY is_open DESC, id DESC LIMIT %s",
        [*ids, *moments, limit],
    )
    found.sort(key=lambda position: -position.pk)
    return [_passage(position, following[position.subscription_id]) for position in found]


def _passage(position: Position, subscription: Subscription) -> Passage:
    holding = position.holding()
    return Passage(
        position.pk,
        subscription.strategy.name if subscription.strategy is not None else BY_HAND,
        subscription.account.name,
        subscription.account.is_paper,
        position.direction,
        position.entry_quantity,
        holding.average_entry,
        position.opened_at,
        holding.average_exit,
        position.closed_at,
        holding.net,
        position.stop if position.is_open else None,
        position.target if position.is_open else None,
    )
