"""Recomputes what is folded from the fills, and compares it with what is stored.

Fills are the ledger. Orders' filled parts, positions, trades, the days' results, the public record of signals and the reservations are
projections of it, and the public number of followers is one of the subscriptions: `differences` names each that disagrees,
`rebuild` writes the recomputed values in its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from signalist.accounts.models import on_paper
from signalist.db import fast
from signalist.domain.errors import DomainError
from signalist.domain.money import ZERO, plain
from signalist.domain.orders import ACTIVE, Leg, OrderStatus, Side
from signalist.domain.positions import FillFact, Holding, folded, opened
from signalist.trading import track_record
from signalist.trading.models import (
    DailyResult,
    ExitType,
    Fill,
    Following,
    Order,
    Position,
    Reservation,
    Subscription,
    SubscriptionStatus,
    Trade,
)


@dataclass(slots=True)
class Difference:
    """One stored value that is not what its fills make of it."""

    row: Any
    name: str
    stored: Any
    computed: Any
    writable: bool = True
    absent: bool = False
    """`row` is not stored, and holds what should be."""

    def __str__(self) -> str:
        return f"{type(self.row).__name__} {self.row.pk} {self.name}: stored {_text(self.stored)}, computed {_text(self.computed)}"


def differences() -> Iterator[Difference]:
    """Every difference between the projections and the fills."""
    by_order: dict[int, list[Fill]] = defaultdict(list)
    by_position: dict[int, list[Fill]] = defaultdict(list)
    for fill in Fill.objects.order_by("pk").iterator():
        by_order[fill.order_id].append(fill)
        if fill.position_id is None:
            yield Difference(fill, "position", None, "a position that holds it", writable=False)
        else:
            by_position[fill.position_id].append(fill)
    legs: dict[int, Leg] = {}
    for order in Order.objects.order_by("pk").iterator():
        legs[order.pk] = Leg(order.leg)
        yield from _order(order, by_order.get(order.pk, []))
    holdings: dict[int, Holding | None] = {}
    for position in Position.objects.order_by("pk").iterator():
        holdings[position.pk] = holding = _folded(by_position.get(position.pk, []), legs)
        yield from _position(position, holding)
    yield from _trades(holdings)
    yield from _days(holdings)
    yield from _records(holdings)
    yield from _followings()
    yield from _reservations()


def rebuild() -> int:
    """Write the computed values where they differ; returns how many. What cannot be written (a missing row) stays a difference."""
    changed: dict[tuple[type, int], tuple[Any, set[str]]] = {}
    absent = 0
    for difference in list(differences()):
        row = difference.row
        if not difference.writable:
            continue
        if difference.absent:
            row.save(force_insert=True)
            absent += 1
            continue
        setattr(row, difference.name, difference.computed)
        changed.setdefault((type(row), row.pk), (row, set()))[1].add(difference.name)
    for row, names in changed.values():
        fast.update([row], sorted(names))
    return absent + sum(len(names) for _, names in changed.values())


def _order(order: Order, fills: list[Fill]) -> Iterator[Difference]:
    filled = sum((f.quantity for f in fills), ZERO)
    computed = {
        "filled": filled,
        "filled_value": sum((f.quantity * f.price for f in fills), ZERO),
        "fees": sum((f.cost for f in fills), ZERO),
    }
    yield from _compared(order, computed)
    if order.state is OrderStatus.FILLED and filled < order.quantity:
        yield Difference(
            order, "status", order.status, "not FILLED: its fills do not add up to its quantity", writable=False
        )


def _folded(fills: list[Fill], legs: dict[int, Leg]) -> Holding | None:
    """The holding that the fills make; None where they cannot make one."""
    holding: Holding | None = None
    try:
        for fill in fills:
            fact = FillFact(Side(fill.side), legs[fill.order_id], fill.quantity, fill.price, fill.cost, fill.time)
            holding = opened(fact) if holding is None else folded(holding, fact)
    except DomainError:
        return None
    return holding


def _position(position: Position, holding: Holding | None) -> Iterator[Difference]:
    if holding is None:
        yield Difference(position, "fills", "a position", "fills that make no position", writable=False)
        return
    names = ("quantity", "entry_quantity", "entry_value", "exit_quantity", "exit_value", "fees")
    computed: dict[str, Any] = {name: getattr(holding, name) for name in names}
    computed |= {"direction": holding.direction.value, "is_open": holding.quantity > position.dust}
    yield from _compared(position, computed)


def _trades(holdings: dict[int, Holding | None]) -> Iterator[Difference]:
    traded = set()
    for trade in Trade.objects.order_by("pk").iterator():
        traded.add(trade.position_id)
        holding = holdings.get(trade.position_id)
        if holding is None or not (holding.is_flat or trade.exit_type == ExitType.DUST):
            yield Difference(trade, "position", "closed", "not closed by its fills", writable=False)
            continue
        computed = {
            "quantity": holding.entry_quantity,
            "entry_price": holding.average_entry,
            "exit_price": holding.average_exit or holding.average_entry,
        }
        yield from _compared(trade, computed | {"gross": holding.gross, "fees": holding.fees, "net": holding.net})
    for key, holding in holdings.items():
        if holding is not None and holding.is_flat and key not in traded:
            yield Difference(Trade(position_id=key), "trade", None, f"one for position {key}", writable=False)


def _days(holdings: dict[int, Holding | None]) -> Iterator[Difference]:
    """The days' results against the trades that have been counted into them, as the fills make those."""
    sums: dict[tuple[int, date], dict[str, Any]] = defaultdict(
        lambda: {"trades": 0, "wins": 0, "gross": ZERO, "fees": ZERO, "net": ZERO}
    )
    for trade in Trade.objects.filter(measured=True).iterator():
        day = sums[trade.subscription_id, trade.closed_at.date()]
        holding = holdings.get(trade.position_id)
        booked: Trade | Holding = trade if holding is None or not holding.is_flat else holding
        day["trades"] += 1
        day["wins"] += booked.net > 0
        for name in ("gross", "fees", "net"):
            day[name] += getattr(booked, name)
    for result in DailyResult.objects.order_by("pk").iterator():
        yield from _compared(result, sums.pop((result.subscription_id, result.day), {"trades": 0}))
    for (subscription_id, day_), computed in sums.items():
        missing = DailyResult(subscription_id=subscription_id, day=day_)
        lost = f"{computed['trades']} trades of subscription {subscription_id} on {day_}"
        yield Difference(missing, "day", None, lost, writable=False)


def _records(holdings: dict[int, Holding | None]) -> Iterator[Difference]:
    """The public record of signals against the trades that have been counted into it, as the fills make those."""
    outcomes = {}
    for trade in Trade.objects.filter(measured=True).select_related("position").iterator():
        held = holdings.get(trade.position_id)
        outcome = (trade.quantity, trade.entry_price, trade.net)
        if held is not None and held.is_flat:
            outcome = (held.entry_quantity, held.average_entry, held.net)
        outcomes[trade.pk] = track_record.Outcome(*outcome, trade.position.opened_at, trade.closed_at)
    for stored, computed in track_record.recomputed(outcomes):
        if stored is None:
            assert computed is not None
            said = f"{computed.trades} trades of signal {computed.signal_id}"
            yield Difference(computed, "signal", None, said, absent=True)
        elif computed is None:
            yield from _compared(stored, {"trades": 0})
        else:
            names = (*track_record.SUMS, "last_closed_at")
            yield from _compared(stored, {name: getattr(computed, name) for name in names})


def _followings() -> Iterator[Difference]:
    """The number of accounts that follow each strategy."""
    following: dict[tuple[int, bool], int] = defaultdict(int)
    live = Subscription.objects.filter(strategy__isnull=False).exclude(status=SubscriptionStatus.ENDED)
    for strategy_id, venue, played in live.values_list("strategy_id", "account__venue", "account__is_play_money"):
        following[strategy_id, on_paper(venue, played)] += 1
    for stored in Following.objects.order_by("pk"):
        yield from _compared(stored, {"followers": following.pop((stored.strategy_id, stored.is_paper), 0)})
    for (strategy_id, is_paper), followers in sorted(following.items()):
        row = Following(strategy_id=strategy_id, is_paper=is_paper, followers=followers)
        yield Difference(row, "strategy", None, f"{followers} followers of strategy {strategy_id}", absent=True)


def _reservations() -> Iterator[Difference]:
    """Money is held for entries under way and for nothing else."""
    active = {status.value for status in ACTIVE}
    for held in Reservation.objects.select_related("order").order_by("pk").iterator():
        wanted = held.order.status not in active
        if held.released != wanted:
            yield Difference(held, "released", held.released, wanted)


def _compared(row: Any, computed: dict[str, Any]) -> Iterable[Difference]:
    return [
        Difference(row, name, getattr(row, name), value)
        for name, value in computed.items()
        if getattr(row, name) != value
    ]


def _text(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
