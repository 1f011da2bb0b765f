"""The first step of stage `place`: what is about to be sent is committed as SENDING, with its attempt, right before the bytes leave."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit, wakes
from signalist.domain.money import plain
from signalist.domain.orders import Leg, OrderStatus
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.execution import overtaking
from signalist.execution.beside import bound
from signalist.execution.full_venues import NONE_FULL, Full
from signalist.execution.overtaking import Leaving, leaving
from signalist.execution.precedence import ALL, AT_ONCE, turn, turn_of_new, waiting
from signalist.execution.turns import Abilities, Turns
from signalist.risk.restraints import Restraint, restraints
from signalist.trading.models import AttemptAction, Order, OrderAttempt, Position, Subscription
from signalist.trading.reservations import release_reservations
from signalist.trading.transitions import ORDER_SENT, move
from signalist.venues.base import Ack, OrderReport
from signalist.venues.errors import VenueError

BATCH = 400


@dataclass(slots=True)
class Errand:
    """One request to a venue and what came of it."""

    order: Order
    account: Account
    attempt: OrderAttempt
    answer: Ack | OrderReport | None = None
    error: VenueError | None = None
    opened: bool = False
    """Whether its account was opened, so that its venue may have been asked."""
    latency_ms: float = 0.0
    status: int | None = None
    """Of the venue's answer over HTTP."""
    quantity: Decimal | None = None
    """What was sent, where that is less than the order's quantity."""
    beside: Decimal | None = None
    """Where it takes no more than the venue is seen to hold of ours (`overtaking`): what lies there beside it, signed."""


@dataclass(slots=True)
class Round:
    """What a claim found: errands to run, and orders that ended without leaving the house."""

    errands: list[Errand] = field(default_factory=list)
    dropped: list[Order] = field(default_factory=list)
    is_all: bool = False
    """Whether nothing that may go now is left behind."""


def claim(
    engine: uuid.UUID,
    now: datetime,
    limit: int = BATCH,
    work: Round | None = None,
    *,
    abilities: Abilities | None = None,
    some: str = ALL,
    full: Full = NONE_FULL,
) -> Round:
    """Commit what is about to be sent, in batches of `limit`. What has to wait is passed over and keeps nothing else from its turn.

    `work` is what comes back. A caller that repeats a claim which the database broke off hands the same one in: what an earlier batch
    had committed is in it, and nobody else would send it. `abilities` tells what a venue can do (None: all know our ids). `some`: which
    of them, as `precedence` says; the others wait. What is for a venue that is `full` waits for its answers.
    """
    work = Round() if work is None else work
    behind: tuple[int, int] | None = (-1, 0)
    passed_over = 0
    while behind is not None and len(work.errands) + len(work.dropped) < limit:
        behind, put_off = _claim_batch(engine, now, limit, behind, work, abilities, some, full)
        passed_over += put_off
    wakes.left("place", waits=passed_over > 0 or behind is not None or some != ALL or full != NONE_FULL)
    work.is_all = behind is None and some == ALL
    if behind is not None:
        ring_on_commit("place")
    work.errands.sort(key=_urgency)
    return work


def _claim_batch(
    engine: uuid.UUID,
    now: datetime,
    limit: int,
    behind: tuple[int, int],
    work: Round,
    abilities: Abilities | None,
    some: str,
    full: Full,
) -> tuple[tuple[int, int] | None, int]:
    """Add what comes behind this (turn, id) to `work`; returns what to go on behind, None where nothing is left, and how many wait."""
    with unit("place.claim"):
        orders = waiting(engine, now, limit, behind, some, full)
        if not orders:
            return None, 0
        left = (turn(orders[-1]), orders[-1].pk) if len(orders) == limit else None
        positions = {
            p.pk: p for p in fast.select_ids(Position, sorted({o.position_id for o in orders if o.position_id}))
        }
        accounts = {a.pk: a for a in fast.select_ids(Account, sorted({o.account_id for o in orders}))}
        leave = leaving([o for o in orders if _leaves(o) and o.state is OrderStatus.CREATED], now)
        restrained = stopped(orders, accounts)
        turns = Turns([o for o in orders if o.state is OrderStatus.CREATED], accounts, abilities, now)
        found = Round()
        for order in orders:
            position, account = positions.get(order.position_id or 0), accounts[order.account_id]
            _claim_one(order, position, account, leave, turns, restrained.get(order.pk), found, engine, now)
        alarms = overtaking.alarm([errand.order for errand in found.errands], leave.overtaking, now)
        bound([errand for errand in found.errands if errand.order.pk in leave.bounded], accounts, abilities)
        turns.write(found.errands)
        fast.write_together(
            fast.Update([errand.order for errand in found.errands] + found.dropped, ORDER_SENT),
            outbox.prepared([*alarms, *(order_fact("order_dropped", order, now) for order in found.dropped)]),
            fast.Insert([errand.attempt for errand in found.errands], returning=True),
        )
        release_reservations([order for order in found.dropped if order.leg == Leg.ENTRY])
        if found.dropped:
            ring_on_commit("protect", "decide")
    work.errands += found.errands
    work.dropped += found.dropped
    return left, len(orders) - len(found.errands) - len(found.dropped)


def _leaves(order: Order) -> bool:
    """Whether it is a market order that reduces its position."""
    return order.leg == Leg.EXIT or order.is_triggered


def stopped_entries(entries: Sequence[Order]) -> set[int]:
    """Which of these entries, claimed and perhaps not sent yet, the kill switch keeps back now."""
    accounts = {a.pk: a for a in fast.select_ids(Account, sorted({order.account_id for order in entries}))}
    return set(_restrained(entries, accounts))


def stopped(orders: Sequence[Order], accounts: Mapping[int, Account]) -> dict[int, Restraint]:
    """The entries that the kill switch keeps from being sent, though they were decided before it was thrown."""
    entries = [order for order in orders if order.leg == Leg.ENTRY and order.state is OrderStatus.CREATED]
    return _restrained(entries, accounts) if entries else {}


def _restrained(entries: Sequence[Order], accounts: Mapping[int, Account]) -> dict[int, Restraint]:
    thrown = restraints({order.tenant_id for order in entries})
    strategy_of: dict[int, int | None] = {}
    if thrown.of_strategies:
        followed = fast.select_ids(Subscription, sorted({order.subscription_id for order in entries}))
        strategy_of = {subscription.pk: subscription.strategy_id for subscription in followed}
    found = {
        o.pk: thrown.strictest(accounts[o.account_id], strategy_of.get(o.subscription_id), o.subscription_id)
        for o in entries
    }
    return {key: restraint for key, restraint in found.items() if restraint is not None}


def _claim_one(
    order: Order,
    position: Position | None,
    account: Account,
    leave: Leaving,
    turns: Turns,
    stopped: Restraint | None,
    work: Round,
    engine: uuid.UUID,
    now: datetime,
) -> None:
    leg, state = Leg(order.leg), order.state
    if state is OrderStatus.CREATED:
        problem = _moot(order, leg, position, stopped, now)
        if problem is not None:
            move(order, *problem[:1], now, problem[1])
            work.dropped.append(order)
        elif order.pk not in leave.waiting and turns.take(order):
            move(order, OrderStatus.SENDING, now)
            order.sender = engine
            if order.price_at is not None and order.reaction_ms is None:
                order.reaction_ms = max((now - order.price_at).total_seconds() * 1000, 0.0)
            work.errands.append(_errand(order, account, AttemptAction.PLACE, _request_of(order), engine, now))
    elif state in (OrderStatus.WORKING, OrderStatus.PARTIAL, OrderStatus.UNKNOWN):
        action = AttemptAction.CANCEL if order.cancel_wanted else AttemptAction.AMEND
        request = {"venue_order_id" if order.nameless else "client_order_id": turns.name(order)}
        if action is AttemptAction.AMEND and order.wanted_quantity is not None:
            request["quantity"] = plain(order.wanted_quantity)
            if order.wanted_trigger is not None:
                request["trigger"] = plain(order.wanted_trigger)
        order.busy, order.sender = True, engine
        work.errands.append(_errand(order, account, action, request, engine, now))


def _moot(
    order: Order, leg: Leg, position: Position | None, stopped: Restraint | None, now: datetime
) -> tuple[OrderStatus, str] | None:
    """Why an order that was not sent yet is not sent at all."""
    if order.cancel_wanted:
        return OrderStatus.CANCELLED, "withdrawn before it was sent"
    if leg is Leg.ENTRY:
        if order.deadline is not None and now > order.deadline:
            return OrderStatus.EXPIRED, "past its deadline before it was sent"
        if stopped is not None:
            return OrderStatus.CANCELLED, str(stopped)
        return None
    if position is None or not position.is_open:
        return OrderStatus.CANCELLED, "the position is closed already"
    if leg is Leg.TARGET and position.is_closing:
        return OrderStatus.CANCELLED, "the position is being closed"
    if order.is_triggered:
        order.quantity = min(order.quantity, position.quantity)
    if leg is Leg.EXIT:
        # A share of what is really held: fills may have come since the decision.
        order.quantity = min(order.quantity, position.quantity) if order.n == 0 else position.quantity
    return None


def _errand(
    order: Order, account: Account, action: AttemptAction, request: dict[str, Any], engine: uuid.UUID, now: datetime
) -> Errand:
    order.attempts += 1
    attempt = fast.new(
        OrderAttempt,
        tenant_id=order.tenant_id,
        order=order,
        number=order.attempts,
        action=action,
        request=request,
        engine=engine,
        sent_at=now,
    )
    return Errand(order, account, attempt)


def _request_of(order: Order) -> dict[str, Any]:
    def text(value: Any) -> str | None:
        return None if value is None else plain(value)

    return {
        "client_order_id": order.client_order_id,
        "symbol": order.instrument.symbol,
        "side": order.side,
        "type": order.type,
        "quantity": text(order.quantity),
        "price": text(order.price),
        "trigger": None if order.is_triggered else text(order.trigger),
        "reduce_only": order.reduce_only,
    }


def order_fact(kind: str, order: Order, now: datetime) -> Fact:
    """What became of an order, for the log."""
    payload = {"order": order.pk, "leg": order.leg, "status": order.status, "reason": order.reason}
    return Fact(kind, order.tenant_id, now, payload)


def _urgency(errand: Errand) -> tuple[int, int]:
    turn = AT_ONCE if errand.attempt.action != AttemptAction.PLACE else turn_of_new(errand.order)
    return turn, errand.order.pk
