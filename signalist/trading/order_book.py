"""Orders as people look at them: what works at the venues, what became of the rest, and one order with every attempt and fill."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from signalist.domain.execution_quality import BASIS_POINTS, slippage_bps
from signalist.domain.money import settle
from signalist.domain.orders import OrderStatus, Side
from signalist.markets.models import Instrument
from signalist.trading import order_actions
from signalist.trading.labels import Follower, Market, attach_followers
from signalist.trading.models import ACTIVE_ORDER, Execution, Fill, Order, OrderAttempt, Subscription

GROUPS = {
    "working": ACTIVE_ORDER,
    "filled": [OrderStatus.FILLED.value],
    "ended": [s.value for s in OrderStatus if s.is_final and s is not OrderStatus.FILLED],
}
"""The states of orders as people ask for them."""

_NAMES = "symbol side type quantity price trigger reduce_only status filled client_order_id venue_order_id".split()
MOST_WORKING = 100
MOST_RELATED = 50


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order in a list. Quantities are in base units, prices in quote currency; `level` is a trigger or a limit, if any."""

    client_order_id: str
    market: Market
    follower: Follower
    position_id: int | None
    leg: str
    side: str
    type: str
    n: int
    quantity: Decimal
    filled: Decimal
    average: Decimal | None
    level: Decimal | None
    reference: Decimal | None
    fees: Decimal
    status: OrderStatus
    cancel_wanted: bool
    wanted_quantity: Decimal | None
    reduce_only: bool
    looks: int
    reason: str
    venue_order_id: str
    deadline: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_unknown(self) -> bool:
        return self.status is OrderStatus.UNKNOWN

    @property
    def slippage(self) -> Decimal | None:
        """What was paid beyond the price that it was sized by, as a fraction; negative where it was got cheaper (EXE-31)."""
        return slippage(Side(self.side), self.reference, self.average)


def slippage(side: Side, reference: Decimal | None, average: Decimal | None) -> Decimal | None:
    """(average fill ÷ reference − 1), turned so that paid is positive for buys and sells alike; None before a fill."""
    if not reference or average is None:
        return None
    return slippage_bps(side, reference, average) / BASIS_POINTS


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to the venue and its answer. `success` is None while the answer is awaited."""

    number: int
    action: str
    request: dict[str, Any]
    response: dict[str, Any]
    success: bool | None
    error_type: str
    error_message: str
    latency: float | None
    sent_at: datetime
    code: int | None = None
    """The status of an answer over HTTP."""


@dataclass(frozen=True, slots=True)
class FillLine:
    """One fill as the venue reported it."""

    venue_fill_id: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    time: datetime
    booked_fee: Decimal | None = None
    """What of it counts in quote currency, where the fee is of another."""

    @property
    def value(self) -> Decimal:
        """Quantity × price, in quote currency."""
        return settle(self.quantity * self.price)

    @property
    def is_counted(self) -> bool:
        """Whether its fee is in our sums: one of another currency is not where no rate was known."""
        return self.booked_fee is None or bool(self.booked_fee) or not self.fee


@dataclass(frozen=True, slots=True)
class Cause:
    """What an execution answers: a strategy's signal, or a command. `kind` is what was said, `by` who commanded it (empty: the engine)."""

    signal: uuid.UUID | None
    kind: str
    at: datetime
    reason: str = ""
    by: str = ""
    command: uuid.UUID | None = None

    @classmethod
    def of(cls, execution: Execution) -> Cause:
        """As the rows say; signal or instruction, with its user, must be loaded."""
        signal, command = execution.signal, execution.instruction
        if signal is not None:
            return cls(signal.public_id, signal.kind, signal.candle_close)
        assert command is not None
        by = "" if command.by is None else command.by.full_name or command.by.email
        return cls(None, command.kind, command.created_at, command.reason, by, command.public_id)


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order with everything that was asked and answered, what it was for, and the other orders of that."""

    order: OrderLine
    cause: Cause
    attempts: Sequence[Attempt]
    fills: Sequence[FillLine]
    related: Sequence[OrderLine]
    can_cancel: bool = False
    can_modify: bool = False

    @property
    def took(self) -> timedelta | None:
        """From when the order was decided to its last fill."""
        return self.fills[-1].time - self.order.created_at if self.fills else None


def lines(rows: Iterable[Order]) -> list[OrderLine]:
    """These orders as lines; three queries whatever the number, and that of `rows`."""
    found = list(rows)
    attach_followers(found)
    return [line(row) for row in found]


def line(row: Order) -> OrderLine:
    """A row as a line; its instrument and subscription must be loaded (`attach_followers`)."""
    return OrderLine(
        client_order_id=row.client_order_id,
        market=Market.of(row.instrument),
        follower=Follower.of(row.subscription),
        position_id=row.position_id,
        leg=row.leg,
        side=row.side,
        type=row.type,
        n=row.n,
        quantity=row.quantity,
        filled=row.filled,
        average=average_fill(row),
        level=row.trigger if row.trigger is not None else row.price,
        reference=row.reference_price,
        fees=row.fees,
        status=row.state,
        cancel_wanted=row.cancel_wanted,
        wanted_quantity=row.wanted_quantity,
        reduce_only=row.reduce_only,
        looks=row.looks,
        reason=row.reason,
        venue_order_id=row.venue_order_id,
        deadline=row.deadline,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def average_fill(row: Order) -> Decimal | None:
    """The average price of what is filled; None before that."""
    return settle(row.filled_value / row.filled) if row.filled else None


def working_orders() -> list[OrderLine]:
    """What may still be filled, newest first, at most a hundred."""
    return lines(Order.objects.filter(status__in=ACTIVE_ORDER).order_by("-pk")[:MOST_WORKING])


def found_orders(group: str, leg: str, instrument: str) -> QuerySet[Order]:
    """The orders that a filter lets through, newest first, as rows for `lines`; empty words let everything through."""
    chosen = Order.objects.order_by("-pk")
    if group in GROUPS:
        chosen = chosen.filter(status__in=GROUPS[group])
    if leg:
        chosen = chosen.filter(leg=leg)
    if instrument:
        chosen = chosen.filter(instrument_id=int(instrument))
    return chosen


def traded_instruments() -> list[tuple[str, str]]:
    """(id, symbol) of what the tenant's subscriptions trade or traded, for filters; one query."""
    traded = Subscription.objects.values("instrument_id")
    found = Instrument.objects.filter(pk__in=traded).order_by("symbol").values_list("pk", "symbol")
    return [(str(key), symbol) for key, symbol in found]


def order_record(client_order_id: uuid.UUID) -> OrderRecord | None:
    """One of the tenant's orders, whole; None where there is none."""
    joined = Order.objects.select_related("execution__signal", "execution__instruction__by")
    row = joined.filter(client_order_id=str(client_order_id)).first()
    if row is None:
        return None
    attempts = OrderAttempt.objects.filter(order=row).order_by("number")
    fills = Fill.objects.filter(order=row).order_by("time", "pk")
    related = Order.objects.filter(execution_id=row.execution_id).exclude(pk=row.pk).order_by("pk")
    this, *others = lines([row, *related[:MOST_RELATED]])
    return OrderRecord(
        this,
        Cause.of(row.execution),
        [_attempt(attempt) for attempt in attempts],
        [fill_line(fill) for fill in fills],
        others,
        order_actions.can_cancel(row),
        order_actions.can_modify(row),
    )


def _attempt(row: OrderAttempt) -> Attempt:
    return Attempt(
        row.number,
        row.action,
        _in_order(row.request),
        _in_order(row.response or {}),
        row.success,
        row.error_type,
        row.error_message,
        row.latency_ms,
        row.sent_at,
        row.response_code,
    )


def _in_order(said: dict[str, Any]) -> dict[str, Any]:
    """What was said to or by the venue, without what was left out; one database keeps the order of names, the other does not."""
    known = [name for name in _NAMES if name in said]
    return {name: said[name] for name in [*known, *sorted(said.keys() - set(_NAMES))] if said[name] is not None}


def fill_line(row: Fill) -> FillLine:
    """A fill as it is shown."""
    return FillLine(
        row.venue_fill_id, row.side, row.quantity, row.price, row.fee, row.fee_currency, row.time, row.booked_fee
    )
