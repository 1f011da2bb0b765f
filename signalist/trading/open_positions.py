"""Reads of open positions for pages: the rows, their marks, and the orders that protect them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.money import ZERO
from signalist.domain.orders import Leg, OrderStatus
from signalist.domain.signals import SignalKind
from signalist.markets.selectors import latest_prices
from signalist.strategies.models import Signal
from signalist.trading.labels import Follower, Market, attach_followers
from signalist.trading.marked_positions import Cover, OpenPosition, Part, PositionBook, Total
from signalist.trading.models import (
    ACTIVE_ORDER,
    Execution,
    ExecutionStatus,
    Order,
    Position,
    Subscription,
    SubscriptionStatus,
)


def open_positions(now: datetime) -> PositionBook:
    """The tenant's open positions at the newest prices; nine queries however many there are."""
    rows = fast.select(Position, "is_open ORDER BY opened_at, id")
    attach_followers(rows)
    attach_entries(rows)
    found = seen(rows, now)
    live = Subscription.objects.filter(strategy__isnull=False).exclude(status=SubscriptionStatus.ENDED).count()
    parts = [Part(paper, chosen) for paper in (False, True) if (chosen := [p for p in found if _is_paper(p) == paper])]
    kinds = sorted({(_is_paper(p), p.market.quote) for p in found})
    totals = [Total(*kind, [p for p in found if (_is_paper(p), p.market.quote) == kind]) for kind in kinds]
    return PositionBook(parts, totals, live)


def _is_paper(position: OpenPosition) -> bool:
    return position.follower.is_paper


def position_row(position_id: int) -> Position | None:
    """One of the tenant's positions, open or closed, with what `seen` needs; None where there is none."""
    row = Position.objects.filter(pk=position_id).first()
    if row is not None:
        attach_followers([row])
        attach_entries([row])
    return row


def attach_entries(rows: Sequence[Position]) -> None:
    """Give positions the executions that opened them, with their signals; two queries."""
    entries = {e.pk: e for e in fast.select_ids(Execution, sorted({row.entry_execution_id for row in rows}))}
    wanted = sorted({entry.signal_id for entry in entries.values() if entry.signal_id})
    signals = {s.pk: s for s in fast.select_ids(Signal, wanted)}
    for row in rows:
        row.entry_execution = entries[row.entry_execution_id]
        row.entry_execution.signal = signals.get(row.entry_execution.signal_id or 0)


def seen(rows: Sequence[Position], now: datetime) -> list[OpenPosition]:
    """These positions at the newest prices of their markets, with what protects them; three queries."""
    active: dict[int, list[Order]] = defaultdict(list)
    for order in Order.objects.filter(position__in=[row.pk for row in rows], status__in=ACTIVE_ORDER):
        active[order.position_id or 0].append(order)
    prices = latest_prices({row.instrument_id for row in rows})
    closing = _asked_to_close(rows)
    return [_seen(row, active[row.pk], prices, (row.subscription_id, row.direction) in closing, now) for row in rows]


def _seen(
    row: Position,
    active: Sequence[Order],
    prices: Mapping[int, tuple[Decimal, datetime]],
    asked: bool,
    now: datetime,
) -> OpenPosition:
    mark, at = prices.get(row.instrument_id, (None, None))
    stops = [order for order in active if order.leg == Leg.STOP and not order.superseded]
    covered = sum((order.quantity - order.filled for order in stops if order.state.is_open), ZERO)
    entry = row.entry_execution
    return OpenPosition(
        id=row.pk,
        market=Market.of(row.instrument),
        follower=Follower.of(row.subscription),
        holding=row.holding(),
        leverage=row.leverage,
        stop=row.stop,
        target=row.target,
        mark=mark,
        mark_age=None if at is None else now - at,
        risk_each=risk_each(entry),
        cover=_cover(row, stops, covered, asked),
        covered=covered,
        signal=None if entry.signal is None else entry.signal.public_id,
    )


def risk_each(entry: Execution) -> Decimal | None:
    """What one unit was decided to lose from its price to its stop, the measure of R; None without a stop."""
    return None if entry.price is None or entry.stop is None else abs(entry.price - entry.stop)


def _cover(row: Position, stops: Sequence[Order], covered: Decimal, asked: bool) -> Cover:
    states = {order.state for order in stops}
    if not row.is_open:
        return Cover.FLAT
    if row.is_closing or asked:
        return Cover.CLOSING
    if any(order.watched for order in stops):
        return Cover.SOFTWARE if row.blind_since is None else Cover.BLIND
    if covered >= row.quantity:
        return Cover.AT_VENUE
    if covered > 0:
        return Cover.PARTLY
    if OrderStatus.UNKNOWN in states:
        return Cover.IN_DOUBT
    if states:
        return Cover.SENDING
    return Cover.NONE if row.stop is None else Cover.MISSING


def _asked_to_close(rows: Sequence[Position]) -> set[tuple[int, str]]:
    """(subscription, direction) of the exits that are not decided yet: somebody has asked, and the engine has not answered.

    An exit of the other direction closes nothing here: a strategy may say it while there is nothing to leave.
    """
    waiting = Execution.objects.filter(
        status=ExecutionStatus.PENDING,
        kind__in=["EXIT_LONG", "EXIT_SHORT"],
        subscription__in=[row.subscription_id for row in rows],
    )
    return {(key, SignalKind(kind).direction.value) for key, kind in waiting.values_list("subscription_id", "kind")}
