"""The rows that a fold adds when a fill comes and when a position closes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.orders import Leg
from signalist.events.outbox import Fact
from signalist.trading.models import ExitType, Fill, InstructionKind, Order, Position, Trade
from signalist.venues.base import FillReport


def trade_row(position: Position, currency: str, why: ExitType, closed_at: datetime) -> Trade:
    """The round trip of a position that has just ended; where nothing of it was ever sold or bought back, its exit is at its entry."""
    holding = position.holding()
    return fast.new(
        Trade,
        tenant_id=position.tenant_id,
        position=position,
        subscription_id=position.subscription_id,
        account_id=position.account_id,
        instrument_id=position.instrument_id,
        direction=position.direction,
        quantity=position.entry_quantity,
        entry_price=holding.average_entry,
        exit_price=holding.average_entry if holding.average_exit is None else holding.average_exit,
        gross=holding.gross,
        fees=holding.fees,
        net=holding.net,
        currency=currency,
        exit_type=why,
        opened_at=position.opened_at,
        closed_at=closed_at,
    )


def trade_closed(trade: Trade, position: Position) -> Fact:
    """A trade for the log."""
    payload = {"position": position.pk, "net": str(trade.net), "exit": ExitType(trade.exit_type).value}
    return Fact("trade_closed", position.tenant_id, trade.closed_at, payload)


def exit_type(order: Order) -> ExitType:
    """Why the order that closed a position was there."""
    if order.leg == Leg.STOP:
        return ExitType.STOP_LOSS
    if order.leg == Leg.TARGET:
        return ExitType.TAKE_PROFIT
    instruction = order.execution.instruction
    if instruction is None:
        return ExitType.SIGNAL
    by_rule = {
        InstructionKind.EMERGENCY.value: ExitType.EMERGENCY,
        InstructionKind.TIME_EXIT.value: ExitType.TIME_EXIT,
    }
    return by_rule.get(instruction.kind, ExitType.MANUAL)


def fill_row(order: Order, position: Position | None, report: FillReport, counts: Decimal | None) -> Fill:
    """A fill as the venue reports it, and where it went: nowhere where the books cannot hold it. `counts` is what of its fee does
    where that is of another currency (`fees.booked`)."""
    return fast.new(
        Fill,
        tenant_id=order.tenant_id,
        account_id=order.account_id,
        order=order,
        position=position,
        venue_fill_id=report.venue_fill_id,
        side=report.side.value,
        quantity=report.quantity,
        price=report.price,
        fee=report.fee,
        fee_currency=report.fee_currency,
        booked_fee=counts,
        time=report.time,
    )


def order_filled(order: Order, report: FillReport) -> Fact:
    """A fill for the log."""
    payload = {"order": order.pk, "leg": order.leg, "quantity": str(report.quantity), "price": str(report.price)}
    return Fact("order_filled", order.tenant_id, report.time, payload | {"status": order.status})
