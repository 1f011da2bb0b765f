"""Folds a venue's reports into the books: fills into orders, positions and trades, and the venue's word on the money.

Called inside one transaction with the accounts locked. A fill that is there already is passed over, whoever reports it again;
a fill of an order that we had believed dead is ours all the same. A fill that the books cannot hold halts its account and asks; one
of an order that is not ours is kept as a difference, which denies entries in its market and asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from signalist.accounts.models import Account, AccountState
from signalist.db import fast
from signalist.domain.errors import DomainError
from signalist.domain.money import ZERO, settle
from signalist.domain.orders import Leg, OrderStatus, Side
from signalist.domain.positions import FillFact, folded, opened
from signalist.domain.signals import Levels, reanchor
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.markets.selectors import instruments
from signalist.trading.models import (
    STILL_ACTIVE,
    AccountBalance,
    Execution,
    ExitType,
    Fill,
    InstructionKind,
    Order,
    Position,
    Reservation,
    Trade,
)
from signalist.trading.noting import take_foreign
from signalist.trading.selectors import attach_causes
from signalist.trading.transitions import ORDER_FILLED, move_if_allowed, take_quantity
from signalist.venues.base import FillReport, OrderReport, Reports

_POSITION = (
    "is_open is_closing quantity entry_quantity entry_value exit_quantity exit_value fees stop target protection_due closed_at"
).split()


@dataclass(slots=True)
class Ledger:
    """What one fold works on and what it changes. `guarding`: (position, leg) of each stop and target that is active already."""

    now: datetime
    accounts: Mapping[int, Account]
    orders: dict[str, Order]
    positions: dict[int, Position]
    seen: set[tuple[int, str]]
    guarding: set[tuple[int, str]]
    new_positions: list[Position] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    touched_orders: dict[int, Order] = field(default_factory=dict)
    touched_positions: dict[int, Position] = field(default_factory=dict)
    halted: list[Account] = field(default_factory=list)
    strangers: dict[int, list[FillReport]] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)


def fold(reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime) -> int:
    """Fold the reports of several accounts (account id → reports); returns how many fills were new."""
    count = fold_fills(reports, accounts, now)
    _save_balances(reports, accounts, now)
    return count


def fold_fills(reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime) -> int:
    """The same without the money and the cursor: for fills that somebody has told rather than the venue's reports."""
    ledger = _opened(reports, accounts, now)
    for account_id in sorted(reports):
        for report in reports[account_id].fills:
            _take_fill(ledger, account_id, report)
        for change in reports[account_id].orders:
            take_order_report(ledger, change)
    _save(ledger)
    return len(ledger.fills)


def fold_orders(changes: Sequence[OrderReport], accounts: Mapping[int, Account], now: datetime) -> None:
    """Fold what look-ups found about single orders."""
    ledger = _opened({}, accounts, now, [change.client_order_id for change in changes])
    for change in changes:
        take_order_report(ledger, change)
    _save(ledger)


def _opened(
    reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime, named: Sequence[str] = ()
) -> Ledger:
    ids = {f.client_order_id for r in reports.values() for f in r.fills} | {
        o.client_order_id for r in reports.values() for o in r.orders
    }
    orders = {
        order.client_order_id: order
        for order in fast.select_ids(Order, sorted(ids | set(named)), column="client_order_id", lock="update")
    }
    attach(list(orders.values()))
    fill_ids = sorted({f.venue_fill_id for r in reports.values() for f in r.fills})
    seen = {(fill.account_id, fill.venue_fill_id) for fill in fast.select_ids(Fill, fill_ids, column="venue_fill_id")}
    of_orders = sorted({o.position_id for o in orders.values() if o.position_id})
    trading = sorted({o.subscription_id for o in orders.values()})
    positions = {p.pk: p for p in fast.select_ids(Position, of_orders)}
    positions |= {p.pk: p for p in fast.select_ids(Position, trading, "is_open", column="subscription_id")}
    return Ledger(now, accounts, orders, positions, seen, _guarding(orders.values()))


def _guarding(orders: Iterable[Order]) -> set[tuple[int, str]]:
    """What protects the positions of the stops and targets among `orders` that have been given up and may have been replaced."""
    given_up = {o.position_id for o in orders if Leg(o.leg).protects and o.state is OrderStatus.REJECTED}
    active = fast.select_ids(
        Order,
        sorted(filter(None, given_up)),
        f"{STILL_ACTIVE} AND leg IN ('STOP', 'TARGET') AND NOT superseded",
        column="position_id",
    )
    return {(order.position_id or 0, order.leg) for order in active}


def attach(orders: Sequence[Order]) -> None:
    """Give `orders` their executions, with signal or instruction, and their instruments, in a constant number of queries."""
    executions = {e.pk: e for e in fast.select_ids(Execution, sorted({o.execution_id for o in orders}))}
    attach_causes(list(executions.values()), subscriptions=False)
    known = instruments({order.instrument_id for order in orders})
    for order in orders:
        order.execution, order.instrument = executions[order.execution_id], known[order.instrument_id]


# --- Fills ---------------------------------------------------------------------------------------


def _take_fill(ledger: Ledger, account_id: int, report: FillReport) -> None:
    if (account_id, report.venue_fill_id) in ledger.seen:
        return
    ledger.seen.add((account_id, report.venue_fill_id))
    order = ledger.orders.get(report.client_order_id)
    if order is None or order.account_id != account_id:
        ledger.strangers.setdefault(account_id, []).append(report)
        return
    order.filled += report.quantity
    order.filled_value += settle(report.quantity * report.price)
    order.fees += report.fee
    move_if_allowed(order, OrderStatus.FILLED if order.filled >= order.quantity else OrderStatus.PARTIAL, ledger.now)
    ledger.touched_orders[order.pk] = order
    fact = FillFact(Side(report.side), Leg(order.leg), report.quantity, report.price, report.fee, report.time)
    try:
        position = _hold(ledger, order, fact)
    except DomainError as error:
        _halt(ledger, account_id, str(error))
        position = None
    ledger.fills.append(_fill_row(order, position, report))
    ledger.facts.append(_filled(order, report))


def _hold(ledger: Ledger, order: Order, fact: FillFact) -> Position:
    """The position after this fill: a new one for the first fill of an entry."""
    position = _position_of(ledger, order)
    if position is None:
        position = _new_position(ledger, order, fact)
    else:
        position.hold(folded(position.holding(), fact))
    if order.leg == Leg.ENTRY:
        position.stop, position.target = _levels(order, position)
    position.protection_due = True
    if position.quantity == 0:
        _close(ledger, order, position, fact)
    if position.pk:
        ledger.touched_positions[position.pk] = position
    return position


def _position_of(ledger: Ledger, order: Order) -> Position | None:
    """The position that the order's fills go to; None where an entry's fill opens one, also after its first was closed already.

    A leg that outlives its position reduces the one that the subscription has opened since: the venue nets, and knows no positions of ours.
    """
    position = ledger.positions.get(order.position_id or 0) or order.position
    if position is None:
        same = (p for p in ledger.new_positions if p.entry_execution_id == order.execution_id and p.quantity > 0)
        position = next(same, None)
    if position is None or position.is_open:
        return position
    return None if order.leg == Leg.ENTRY else _open_now(ledger, order) or position


def _open_now(ledger: Ledger, order: Order) -> Position | None:
    """What the order's subscription holds open in the order's instrument."""
    known = [*ledger.positions.values(), *ledger.new_positions]
    mine = (p for p in known if p.subscription_id == order.subscription_id and p.instrument_id == order.instrument_id)
    return next((p for p in mine if p.is_open), None)


def _new_position(ledger: Ledger, order: Order, fact: FillFact) -> Position:
    holding = opened(fact)
    others = [*ledger.positions.values(), *ledger.new_positions]
    if any(p.is_open and p.subscription_id == order.subscription_id for p in others):
        raise DomainError("An entry filled while its subscription already holds another position.")
    position = Position(
        tenant_id=order.tenant_id,
        subscription_id=order.subscription_id,
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        entry_execution=order.execution,
        direction=holding.direction.value,
        leverage=order.leverage,
        opened_at=holding.opened_at,
    )
    position.hold(holding)
    order.position = position
    ledger.new_positions.append(position)
    ledger.facts.append(
        Fact("position_opened", order.tenant_id, fact.time, {"order": order.pk, "direction": position.direction})
    )
    return position


def _levels(order: Order, position: Position) -> tuple[Any, Any]:
    """Stop and target of the position: the decision's, re-anchored on the average fill where the signal's instrument is another."""
    execution: Execution = order.execution
    levels = Levels(execution.stop, execution.target)
    signal = execution.signal
    if signal is None or signal.schedule.instrument_id == order.instrument_id or execution.price is None:
        return levels.stop, levels.target
    anchored = reanchor(levels, execution.price, position.holding().average_entry, order.instrument.spec())
    return anchored.stop, anchored.target


def _close(ledger: Ledger, order: Order, position: Position, fact: FillFact) -> None:
    position.is_open, position.is_closing, position.closed_at = False, False, fact.time
    holding = position.holding()
    assert holding.average_exit is not None
    ledger.trades.append(
        Trade(
            tenant_id=position.tenant_id,
            position=position,
            subscription_id=position.subscription_id,
            account_id=position.account_id,
            instrument_id=position.instrument_id,
            direction=position.direction,
            quantity=position.entry_quantity,
            entry_price=holding.average_entry,
            exit_price=holding.average_exit,
            gross=holding.gross,
            fees=holding.fees,
            net=holding.net,
            currency=order.instrument.quote,
            exit_type=exit_type(order),
            opened_at=position.opened_at,
            closed_at=fact.time,
        )
    )
    payload = {"position": position.pk, "net": str(holding.net), "exit": exit_type(order).value}
    ledger.facts.append(Fact("trade_closed", position.tenant_id, fact.time, payload))


def exit_type(order: Order) -> ExitType:
    """Why the order that closed a position was there."""
    if order.leg == Leg.STOP:
        return ExitType.STOP_LOSS
    if order.leg == Leg.TARGET:
        return ExitType.TAKE_PROFIT
    instruction = order.execution.instruction
    if instruction is None:
        return ExitType.SIGNAL
    return ExitType.EMERGENCY if instruction.kind == InstructionKind.EMERGENCY else ExitType.MANUAL


def _fill_row(order: Order, position: Position | None, report: FillReport) -> Fill:
    return Fill(
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
        time=report.time,
    )


# --- Orders --------------------------------------------------------------------------------------


def take_order_report(ledger: Ledger, change: OrderReport) -> None:
    """Move an order to where the venue says it is. FILLED and PARTIAL come from fills only: a position follows fills."""
    order = ledger.orders.get(change.client_order_id)
    if order is None:
        return
    order.venue_order_id = change.venue_order_id
    to = change.status
    if to in (OrderStatus.FILLED, OrderStatus.PARTIAL):
        # In doubt until now: the venue has it. Its fills follow as reports and move it on.
        to = OrderStatus.WORKING
    if order.leg == Leg.EXIT and order.n > 0 and not order.wanted_quantity:
        take_quantity(order, change.quantity, ledger.now)
    given_up = order.state is OrderStatus.REJECTED
    if given_up and not change.status.is_open:
        return
    moved = move_if_allowed(order, to, ledger.now, change.reason)
    order.not_before = None
    ledger.touched_orders[order.pk] = order
    if given_up and moved:
        _turned_up(ledger, order)
    if moved and (to.is_final or given_up) and order.position_id and Leg(order.leg).protects:
        position = ledger.positions[order.position_id]
        position.protection_due = True
        ledger.touched_positions[position.pk] = position


def _turned_up(ledger: Ledger, order: Order) -> None:
    """The venue has what we had given up: it is ours, and it is taken down, unless it is the only one to protect its position."""
    place = (order.position_id or 0, order.leg)
    protects = Leg(order.leg).protects
    order.superseded = protects and place in ledger.guarding
    order.cancel_wanted = order.superseded or not protects
    ledger.guarding.add(place)
    ledger.facts.append(Fact("order_turned_up", order.tenant_id, ledger.now, {"order": order.pk, "leg": order.leg}))


def _halt(ledger: Ledger, account_id: int, reason: str) -> None:
    account = ledger.accounts[account_id]
    if (fact := halted(account, reason, ledger.now)) is not None:
        ledger.halted.append(account)
        ledger.facts.append(fact)


def halted(account: Account, reason: str, now: datetime) -> Fact | None:
    """Halt an account (the caller saves it) and say why; None, and nothing to save, where it is halted for that reason already."""
    before = account.state, account.state_reason
    account.state, account.state_reason = AccountState.HALTED, reason[:200]
    if (account.state, account.state_reason) == before:
        return None
    return Fact("account_halted", account.tenant_id, now, {"account": account.pk, "reason": reason})


# --- Writing -------------------------------------------------------------------------------------


def _save(ledger: Ledger) -> None:
    # What closed is written before what opened: a subscription holds one open position at a time.
    fast.update(list(ledger.touched_positions.values()), _POSITION)
    fast.insert(ledger.new_positions, returning=True)
    orders = list(ledger.touched_orders.values())
    opening = [order for order in orders if order.position_id is None and order.position is not None]
    for order in opening:
        order.position_id = order.position.pk  # type: ignore[union-attr]
    fast.update(opening, ("position",))
    for fill in ledger.fills:
        fill.position_id = fill.position.pk if fill.position is not None else None
    for trade in ledger.trades:
        trade.position_id = trade.position.pk
    fast.write_together(
        fast.Update(orders, ORDER_FILLED),
        fast.Insert(ledger.fills),
        fast.Insert(ledger.trades),
        fast.Update(list({account.pk: account for account in ledger.halted}.values()), ("state", "state_reason")),
        outbox.prepared(ledger.facts),
    )
    if ledger.strangers:
        take_foreign(ledger.strangers, ledger.accounts, ledger.now)
    release_reservations([order for order in orders if order.leg == Leg.ENTRY])


def release_reservations(entries: Sequence[Order]) -> None:
    """Give back what entries no longer need: all once they are done, the filled share before that (the venue has locked it)."""
    if not entries:
        return
    by_id = {order.pk: order for order in entries}
    changed = []
    for held in fast.select_ids(Reservation, sorted(by_id), "NOT released", column="order_id"):
        order = by_id[held.order_id]
        if order.state.is_final:
            held.released = True
        elif order.filled > 0 and order.reference_price is not None:
            left = order.quantity - order.filled
            held.amount = settle(held.amount * left * order.reference_price / held.notional) if held.notional else ZERO
            held.notional = settle(left * order.reference_price)
        else:
            continue
        changed.append(held)
    fast.update(changed, ("released", "amount", "notional"))


def _save_balances(reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime) -> None:
    fast.insert(
        [
            AccountBalance(
                tenant_id=accounts[account_id].tenant_id,
                account_id=account_id,
                total=report.balance.total,
                available=report.balance.available,
                cursor=report.cursor,
                at=now,
            )
            for account_id, report in sorted(reports.items())
        ],
        conflict="ON CONFLICT (account_id) DO UPDATE SET "
        "total = excluded.total, available = excluded.available, cursor = excluded.cursor, at = excluded.at",
    )


def _filled(order: Order, report: FillReport) -> Fact:
    payload = {"order": order.pk, "leg": order.leg, "quantity": str(report.quantity), "price": str(report.price)}
    return Fact("order_filled", order.tenant_id, report.time, payload | {"status": order.status})
