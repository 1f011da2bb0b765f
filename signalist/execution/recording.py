"""What a batch of decisions comes to, and how it is written: records, orders and reservations in a constant number of statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.db import fast
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import plain, settle
from signalist.domain.orders import Leg, OrderStatus, OrderType
from signalist.domain.rules import Numbers
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.execution import instructions
from signalist.execution.standing import Picture
from signalist.trading.keys import order_ids
from signalist.trading.models import Execution, ExecutionStatus, Order, Position, Reservation
from signalist.trading.transitions import ORDER_STATE

_RECORD = ("status", "rule", "numbers", "price", "stop", "target", "quantity", "capital", "plan", "decided_at")


@dataclass(slots=True)
class Outcome:
    """What a batch writes; `waiting` are the (subscription, kind) of the exits that it leaves to wait, `put_off` those of them that
    nothing but the end of a halt lets out, and those that are seen to wait for the first time."""

    decided: list[Execution] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    reservations: list[Reservation] = field(default_factory=list)
    closing: list[Position] = field(default_factory=list)
    withdrawn: list[Order] = field(default_factory=list)
    waiting: set[tuple[int, str]] = field(default_factory=set)
    put_off: list[Execution] = field(default_factory=list)
    replaced: Mapping[int, instructions.Replaced] = field(default_factory=dict)


def new_order(
    execution: Execution, leg: Leg, now: datetime, quantity: Decimal, *, side: str, position: Position | None = None
) -> Order:
    """The order of an execution's leg, CREATED: an entry, or with `position` what closes it. The caller adds it to the outcome."""
    subscription = execution.subscription
    held = subscription if position is None else position
    order_id, tag = order_ids(execution, leg, 0)
    return fast.new(
        Order,
        tenant_id=execution.tenant_id,
        account_id=execution.account_id,
        subscription=subscription,
        instrument_id=held.instrument_id,
        execution=execution,
        position=position,
        leg=leg.value,
        client_order_id=order_id,
        tag=tag,
        side=side,
        type=OrderType.MARKET.value,
        quantity=quantity,
        reduce_only=leg is Leg.EXIT,
        leverage=held.leverage,
        reference_price=execution.price,
        deadline=execution.deadline if leg is Leg.ENTRY else None,
        created_at=now,
        updated_at=now,
    )


def record(
    execution: Execution, status: ExecutionStatus, rule: str, numbers: Numbers, known: Picture, outcome: Outcome
) -> None:
    """This execution has its answer, by this rule and with these numbers."""
    execution.status, execution.rule, execution.decided_at = status, rule, known.now
    execution.numbers = {name: _plain(value) for name, value in numbers.items()}
    outcome.decided.append(execution)


def _plain(value: Decimal | int | str | None) -> Any:
    return plain(settle(value)) if isinstance(value, Decimal) else value


def write_outcome(outcome: Outcome, known: Picture) -> None:
    """Write a batch, within its unit."""
    fast.insert(outcome.orders, returning=True)
    for held in outcome.reservations:
        held.order_id = held.order.pk
    fast.write_together(
        fast.Update(outcome.decided, _RECORD),
        fast.Update(outcome.put_off, ("not_before",)),
        fast.Insert(known.new_days, "ON CONFLICT DO NOTHING"),
        fast.Update(outcome.withdrawn, ORDER_STATE),
        fast.Update(outcome.closing, ("is_closing",)),
        fast.Insert(outcome.reservations),
        outbox.prepared([_decided(execution) for execution in outcome.decided]),
    )
    if outcome.orders or outcome.withdrawn:
        ring_on_commit("place")
    if any(order.state is OrderStatus.UNKNOWN for order in outcome.withdrawn):
        ring_on_commit("look_up")


def _decided(execution: Execution) -> Fact:
    assert execution.decided_at is not None
    payload = {"execution": execution.pk, "kind": execution.kind, "status": execution.status, "rule": execution.rule}
    return Fact("execution_decided", execution.tenant_id, execution.decided_at, payload)
