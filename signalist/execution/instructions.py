"""What people command, for `decide`: the entry that an order by hand asks for, and an order that takes the place of another.

An order is replaced by cancel, confirm, place: the new one is decided once the old one has come to its end and everything that it had
filled is in our books, so that the two are never active together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import ZERO, settle
from signalist.domain.orders import OrderStatus, OrderType
from signalist.domain.rules import Decision, Denied, EntryRequest, Standing
from signalist.domain.signals import Direction, Levels
from signalist.execution.entries import layers_of
from signalist.execution.limits import fee_of
from signalist.trading.approval import RULE as NOT_APPROVED
from signalist.trading.models import (
    AccountBalance,
    AttemptAction,
    Execution,
    Instruction,
    InstructionKind,
    Order,
    OrderAttempt,
    Position,
)
from signalist.trading.tickets import FARTHEST


def commanded(execution: Execution) -> Instruction | None:
    """The command that asks for this entry; None where a signal does."""
    return execution.instruction if execution.signal is None else None


# --- The entry that is asked for -----------------------------------------------------------------


def entry_of(
    asked: Instruction,
    execution: Execution,
    spec: InstrumentSpec,
    market: Decimal,
    standing: Standing,
    quantity: Decimal | None = None,
) -> EntryRequest | Denied:
    """The entry as the rules are asked about it, Denied where its limit is too far away to be meant. `market` is the fresh price;
    `quantity` what is left of an order that is replaced."""
    if asked.price is not None and abs(asked.price / market - 1) > FARTHEST:
        return Denied("price_far", {"price": asked.price, "market": market, "limit": FARTHEST})
    return request_of(asked, execution, spec, market, standing, quantity)


def request_of(
    asked: Instruction,
    execution: Execution,
    spec: InstrumentSpec,
    market: Decimal,
    standing: Standing,
    quantity: Decimal | None = None,
) -> EntryRequest:
    """The entry as it is asked for. A limit on the far side of the market fills at the market's price: it is measured from there."""
    subscription, direction, price = execution.subscription, execution.signal_kind.direction, market
    if asked.price is not None:
        price = min(asked.price, market) if direction is Direction.LONG else max(asked.price, market)
    return EntryRequest(
        direction=direction,
        spec=spec,
        price=price,
        levels=Levels(asked.stop, asked.target),
        capital=standing.equity,
        risk_fraction=asked.risk_fraction,
        notional_fraction=None,
        leverage=asked.leverage or subscription.leverage,
        fee_rate=fee_of(spec),
        standing=standing,
        layers=layers_of(subscription),
        quantity=asked.quantity if quantity is None else quantity,
    )


def as_approved(execution: Execution, request: EntryRequest, decision: Decision) -> Decision:
    """The decision, Denied where it would open more than the person has agreed to."""
    asked = commanded(execution)
    if asked is None or asked.approved_notional is None or isinstance(decision, Denied):
        return decision
    worth = settle(request.price * decision.quantity)
    if worth <= asked.approved_notional:
        return decision
    return Denied(NOT_APPROVED, {**decision.numbers, "worth": worth, "approved": asked.approved_notional})


def shape(order: Order, execution: Execution, position: Position | None) -> None:
    """Make an entry what the command asks for: its type, its limit and its leverage, and the position that it adds to."""
    asked = commanded(execution)
    if asked is None:
        return
    order.type, order.price = asked.order_type or OrderType.MARKET.value, asked.price
    order.leverage = asked.leverage or order.leverage
    order.position = position


# --- Replacing an order --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replaced:
    """An order that is to be replaced. `known` is whether all that it had filled is in our books."""

    order: Order
    known: bool


def replaced_by(executions: Iterable[Execution]) -> Mapping[int, Replaced]:
    """By order, what these executions replace; three queries where anything is replaced, none otherwise."""
    wanted = {
        e.instruction.order_id
        for e in executions
        if e.instruction is not None and e.instruction.kind == InstructionKind.AMEND and e.instruction.order_id
    }
    if not wanted:
        return {}
    orders = fast.select_ids(Order, sorted(wanted))
    said = _filled_by_the_venue(sorted(wanted))
    read_at = {
        b.account_id: b.at
        for b in fast.select_ids(AccountBalance, sorted({o.account_id for o in orders}), column="account_id")
    }
    return {o.pk: Replaced(o, _is_known(o, said.get(o.pk), read_at.get(o.account_id))) for o in orders}


def _filled_by_the_venue(order_ids: Sequence[int]) -> dict[int, Decimal]:
    """What the venue said was filled when it confirmed the cancel of each of these orders."""
    attempts = fast.select_ids(OrderAttempt, order_ids, "action = 'CANCEL' AND success", column="order_id")
    told = [a for a in attempts if a.action == AttemptAction.CANCEL and a.response and "filled" in a.response]
    return {a.order_id: Decimal(a.response["filled"]) for a in told if a.response}


def _is_known(order: Order, said: Decimal | None, read_at: datetime | None) -> bool:
    """Without the venue's own figure, its reports must have been read since the order ended."""
    if order.attempts == 0 or order.state is OrderStatus.FILLED:
        return True
    if said is not None:
        return bool(order.filled >= said)
    return read_at is not None and read_at > order.updated_at


def what_is_left(asked: Instruction, order: Order, spec: InstrumentSpec) -> Decimal:
    """What the replacement is to buy or sell: what is wanted in all, without what is filled already. Never below zero."""
    return max(spec.quantity(settle((asked.quantity or order.quantity) - order.filled)), ZERO)


NOT_YET = "not_yet"


def replaces(execution: Execution, replaced: Mapping[int, Replaced]) -> Replaced | None:
    """The order that this execution is to take the place of; None where it is an entry of its own."""
    asked = commanded(execution)
    return None if asked is None or asked.kind != InstructionKind.AMEND else replaced.get(asked.order_id or 0)


def no_replacement(execution: Execution, old: Replaced, position: Position | None, *, exiting: bool) -> str:
    """The rule by which `old` is not replaced: NOT_YET until its end is known, "" where it may be replaced now."""
    asked = commanded(execution)
    assert asked is not None
    if not old.order.state.is_final or not old.known:
        return NOT_YET
    if old.order.state is OrderStatus.FILLED or (asked.quantity is not None and old.order.filled >= asked.quantity):
        return "filled"
    if old.order.state is not OrderStatus.CANCELLED:
        return "not_replaced"
    if position is None:
        return "no_position" if old.order.filled else ""
    return "already_closing" if exiting or position.is_closing else ""
