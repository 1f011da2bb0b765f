"""Folds a venue's reports into the books: fills into orders, positions and trades, and the venue's word on the money.

Called inside one transaction with the accounts locked. A fill that is there already is passed over, whoever reports it again;
a fill of an order that we had believed dead is ours all the same. A fill that the books cannot hold halts its account and asks; one
of an order that is not ours is kept as a difference, which denies entries in its market and asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.wakes import ring_on_commit
from signalist.domain.errors import DomainError
from signalist.domain.money import settle
from signalist.domain.orders import Leg, OrderStatus, Side
from signalist.domain.positions import FillFact, folded, opened
from signalist.domain.protection import tighter
from signalist.domain.signals import Direction, Levels, reanchor
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.trading import balances, fees, stop_tries
from signalist.trading.folded_rows import exit_type, fill_row, order_filled, trade_closed, trade_row
from signalist.trading.halting import halted
from signalist.trading.ledgers import Ledger, opened_ledger
from signalist.trading.models import Execution, Order, Position
from signalist.trading.naming import named
from signalist.trading.noting import take_foreign
from signalist.trading.reservations import release_reservations
from signalist.trading.transitions import ORDER_FILLED, move, move_if_allowed, take_quantity
from signalist.venues.base import FillReport, OrderReport, Reports

_POSITION = (
    "is_open is_closing quantity entry_quantity entry_value exit_quantity exit_value fees stop first_stop target protection_due"
    " lost_stops refused_stops bare_since closed_at"
).split()


TAKEN_AWAY_SOON = timedelta(minutes=1)
"""A stop that the venue takes away so soon after it was placed counts with those before it; pauses between them are shorter."""


def fold(reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime) -> int:
    """Fold the reports of several accounts (account id → reports); returns how many fills were new."""
    return _fold(reports, accounts, now, balances.written(reports, accounts, now))


def fold_fills(reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime) -> int:
    """The same without the money and the cursor: for fills that somebody has told rather than the venue's reports."""
    return _fold(reports, accounts, now, fast.Insert(()))


def _fold(reports: Mapping[int, Reports], accounts: Mapping[int, Account], now: datetime, money: fast.Insert) -> int:
    reports = named(reports)
    ledger = opened_ledger(reports, accounts, now)
    for account_id in sorted(reports):
        for report in reports[account_id].fills:
            _take_fill(ledger, account_id, report)
        for change in reports[account_id].orders:
            take_order_report(ledger, change)
    _save(ledger, money)
    return len(ledger.fills)


def fold_orders(changes: Sequence[OrderReport], accounts: Mapping[int, Account], now: datetime) -> None:
    """Fold what look-ups found about single orders."""
    ledger = opened_ledger({}, accounts, now, [change.client_order_id for change in changes])
    for change in changes:
        take_order_report(ledger, change)
    _save(ledger, fast.Insert(()))


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
    counts = fees.booked(report, order.instrument, ledger.rates)
    cost = report.fee if counts is None else counts
    order.fees += cost
    whole = order.filled >= order.quantity
    if whole and order.state is OrderStatus.REJECTED:
        move(order, OrderStatus.WORKING, ledger.now)  # given up, and there all the same: with this it is over
    move_if_allowed(order, OrderStatus.FILLED if whole else OrderStatus.PARTIAL, ledger.now)
    ledger.touched_orders[order.pk] = order
    fact = FillFact(Side(report.side), Leg(order.leg), report.quantity, report.price, cost, report.time)
    try:
        position = _hold(ledger, order, fact)
    except DomainError as error:
        _halt(ledger, account_id, str(error))
        position = None
    ledger.fills.append(fill_row(order, position, report, counts))
    ledger.facts += [order_filled(order, report), *fees.not_counted(order, report, counts)]


def _hold(ledger: Ledger, order: Order, fact: FillFact) -> Position:
    """The position after this fill: a new one for the first fill of an entry."""
    position = _position_of(ledger, order)
    if position is not None and position.dust and not position.is_open:
        raise DomainError("What was written off as too small to be closed has been filled after all.")
    if position is None:
        position = _new_position(ledger, order, fact)
    else:
        position.hold(folded(position.holding(), fact))
    if order.leg == Leg.ENTRY:
        first, position.target = _levels(order, position)
        moved = position.stop != position.first_stop
        position.stop = tighter(Direction(position.direction), first, position.stop) if moved else first
        position.first_stop = first
    position.protection_due = True
    if position.quantity == 0:
        position.is_open, position.is_closing, position.closed_at = False, False, fact.time
        trade = trade_row(position, order.instrument.quote, exit_type(order), fact.time)
        ledger.trades.append(trade)
        ledger.facts.append(trade_closed(trade, position))
    if position.pk:
        ledger.touched_positions[position.pk] = position
    return position


def _position_of(ledger: Ledger, order: Order) -> Position | None:
    """The position that the order's fills go to; None where an entry's fill opens one, also after its first was closed already.

    A leg that outlives its position reduces the one that the subscription has opened since: the venue nets, and knows no positions of ours.
    """
    position = ledger.positions.get(order.position_id or 0) or order.position
    if position is None:
        same = (p for p in ledger.opened_by.get(order.execution_id, ()) if p.quantity > 0)
        position = next(same, None)
    if position is None or position.is_open:
        return position
    return None if order.leg == Leg.ENTRY else _open_now(ledger, order) or position


def _open_now(ledger: Ledger, order: Order) -> Position | None:
    """What the order's subscription holds open in the order's instrument."""
    mine = ledger.open_of(order.subscription_id)
    return next((p for p in mine if p.instrument_id == order.instrument_id), None)


def _new_position(ledger: Ledger, order: Order, fact: FillFact) -> Position:
    holding = opened(fact)
    if any(ledger.open_of(order.subscription_id)):
        raise DomainError("An entry filled while its subscription already holds another position.")
    position = fast.new(
        Position,
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
    ledger.add(position)
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
    leaves = (order.leg == Leg.EXIT or order.is_triggered) and not order.wanted_quantity
    if leaves or change.status is OrderStatus.FILLED:
        # It was sent for less, or made smaller by an amendment whose answer was lost: filled is what the venue says is all of it.
        take_quantity(order, change.quantity, ledger.now)
    given_up = order.state is OrderStatus.REJECTED
    if given_up and not change.status.is_open:
        return
    if to is OrderStatus.WORKING and order.filled and not given_up:
        # What was said before its last fill may be heard after it.
        to = OrderStatus.FILLED if order.filled >= order.quantity else OrderStatus.PARTIAL
    taken_away = to is OrderStatus.CANCELLED and not order.cancel_wanted
    moved = move_if_allowed(order, to, ledger.now, change.reason)
    if moved and not change.reason and to.is_open:
        order.reason = ""  # why it was in doubt is over
    order.not_before = None
    ledger.touched_orders[order.pk] = order
    if given_up and moved:
        _turned_up(ledger, order)
    # An exit that ends unfilled leaves its position to be closed.
    looked_after = Leg(order.leg).protects or order.leg == Leg.EXIT
    if moved and (to.is_final or given_up) and order.position_id and looked_after:
        position = ledger.positions[order.position_id]
        position.protection_due = True
        if taken_away and order.leg == Leg.STOP and position.is_open:
            soon = stop_tries.stood_for(position, order, ledger.now) <= TAKEN_AWAY_SOON
            position.lost_stops = position.lost_stops + 1 if soon else 1
        if position.is_open and stop_tries.has_failed(order):
            stop_tries.count(position, order, ledger.now)
        ledger.touched_positions[position.pk] = position


def _turned_up(ledger: Ledger, order: Order) -> None:
    """The venue has what we had given up: it is ours, and it is taken down, unless it is the only one to protect its position."""
    place = (order.position_id or 0, order.leg, order.rung)
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


# --- Writing -------------------------------------------------------------------------------------


def _save(ledger: Ledger, money: fast.Insert) -> None:
    moved = fast.Update(list(ledger.touched_positions.values()), _POSITION)
    if ledger.new_positions:
        # What closed is written before what opened: a subscription holds one open position at a time.
        fast.write_together(moved)
        fast.insert(ledger.new_positions, returning=True)
        moved = fast.Update((), _POSITION)
    orders = list(ledger.touched_orders.values())
    opening = [order for order in orders if order.position_id is None and order.position is not None]
    for order in opening:
        order.position_id = order.position.pk  # type: ignore[union-attr]
    for fill in ledger.fills:
        fill.position_id = fill.position.pk if fill.position is not None else None
    for trade in ledger.trades:
        trade.position_id = trade.position.pk
    fast.write_together(
        moved,
        fast.Update(orders, (*ORDER_FILLED, "position")),
        fast.Insert(ledger.fills),
        fast.Insert(ledger.trades),
        fast.Update(list({account.pk: account for account in ledger.halted}.values()), ("state", "state_reason")),
        money,
        outbox.prepared(ledger.facts),
    )
    if any(order.cancel_wanted or order.wanted_quantity is not None for order in orders):
        ring_on_commit("place")  # the venue is known to have it now
    if ledger.strangers:
        take_foreign(ledger.strangers, ledger.accounts, ledger.now)
    release_reservations([order for order in orders if order.leg == Leg.ENTRY])
