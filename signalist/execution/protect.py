"""Stage `protect`: protection follows the net filled quantity. It writes orders; `place` sends them.

One active stop and one active target per position. A quantity that changed is amended in place where the venue can, else the
order is withdrawn and replaced. A closed position's legs are withdrawn. An exit that was lost is written anew, and a position
whose stop the venue keeps refusing is closed at market (CON-31).
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account, AccountState
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import NAMESPACE, Leg, OrderStatus, OrderType, closing_side
from signalist.domain.signals import Direction, SignalKind
from signalist.events import outbox
from signalist.events.outbox import Fact, emit
from signalist.execution import leases
from signalist.trading.keys import execution_key, order_ids
from signalist.trading.models import STILL_ACTIVE, Execution, Instruction, InstructionKind, Order, Position
from signalist.trading.selectors import attach_causes
from signalist.trading.transitions import ORDER_STATE, move

BATCH = 400
MAX_EXITS = 5
_LINGERING = (OrderStatus.WORKING, OrderStatus.PARTIAL, OrderStatus.UNKNOWN)
MAX_REFUSED_STOPS = 3


@dataclass(slots=True)
class Changes:
    """What a batch writes."""

    now: datetime
    created: list[Order] = field(default_factory=list)
    touched: dict[int, Order] = field(default_factory=dict)
    emergencies: list[Position] = field(default_factory=list)
    stuck: list[Position] = field(default_factory=list)


def protect(
    now: datetime, can_amend: Callable[[str], bool], limit: int = BATCH, engine: uuid.UUID | None = None
) -> int:
    """Bring the protection of positions that changed into line, in batches of `limit`, on the accounts that `engine` holds (None: on
    all); returns how many were looked at.

    A position whose order's fate must be known first stays due, and keeps no other waiting: the next batch begins behind it.
    """
    looked = settled = 0
    behind: tuple[Any, ...] | None = ()
    while behind is not None and settled < limit:
        positions, behind = _protect_batch(now, can_amend, limit, behind, engine)
        looked += len(positions)
        settled += sum(not position.protection_due for position in positions)
    if behind is not None:
        ring_on_commit("protect")
    return looked


def _protect_batch(
    now: datetime, can_amend: Callable[[str], bool], limit: int, behind: tuple[Any, ...], engine: uuid.UUID | None
) -> tuple[list[Position], tuple[Any, ...] | None]:
    """Look after what is due behind this (opened, id): the positions, and what to go on behind, None where nothing is left."""
    with unit("protect.batch"):
        positions, left = _due(limit, behind, engine)
        if not positions:
            return [], left
        ids = [position.pk for position in positions]
        active: dict[int, list[Order]] = defaultdict(list)
        for order in fast.select_ids(Order, ids, STILL_ACTIVE, column="position_id", lock="update"):
            active[order.position_id or 0].append(order)
        numbers = _next_numbers(sorted({position.entry_execution_id for position in positions}))
        changes = Changes(now)
        for position in positions:
            _look_after(position, active[position.pk], numbers, can_amend(position.account.venue), changes)
        _write(positions, changes)
    return positions, left


def _due(
    limit: int, behind: tuple[Any, ...], engine: uuid.UUID | None
) -> tuple[list[Position], tuple[Any, ...] | None]:
    later = " AND (opened_at, id) > (%s, %s)" if behind else ""
    held, holder = leases.of(engine)
    waiting = fast.tuples(
        f"SELECT id, account_id, opened_at FROM trading_position WHERE protection_due{later} AND {held}"
        " ORDER BY opened_at, id LIMIT %s",
        [*behind, *holder, limit],
    )
    left = (waiting[-1][2], waiting[-1][0]) if len(waiting) == limit else None
    # The account is every stage's first lock; what another engine looked after meanwhile is not due any more.
    locked = fast.select_ids(Account, sorted({row[1] for row in waiting}), lock="update")
    accounts = leases.mine(locked, engine)
    positions = fast.select_ids(Position, sorted(row[0] for row in waiting if row[1] in accounts), "protection_due")
    executions = {e.pk: e for e in fast.select_ids(Execution, sorted({p.entry_execution_id for p in positions}))}
    attach_causes(list(executions.values()))
    for position in positions:
        position.entry_execution = executions[position.entry_execution_id]
        position.account = accounts[position.account_id]
    return positions, left


def _next_numbers(execution_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """The next number of each leg of these executions: replacements are counted within a leg."""
    mine, ids = fast.among("execution_id", execution_ids)
    counted = fast.tuples(
        f"SELECT execution_id, leg, COUNT(*) FROM trading_order WHERE {mine} GROUP BY execution_id, leg", ids
    )
    return {(execution_id, leg): count for execution_id, leg, count in counted}


def _look_after(
    position: Position, active: Sequence[Order], numbers: dict[tuple[int, str], int], amends: bool, changes: Changes
) -> None:
    position.protection_due = False
    if not position.is_open or position.is_closing:
        _see_closed(position, active, numbers, amends, changes)
        return
    if position.refused_stops >= MAX_REFUSED_STOPS:
        changes.emergencies.append(position)
        return
    for leg, level in ((Leg.STOP, position.stop), (Leg.TARGET, position.target)):
        if level is not None:
            _cover(position, leg, level, _standing(active, leg), numbers, amends, changes)
    for order in active:
        if order.superseded:
            _withdraw(order, changes)


def _standing(active: Sequence[Order], leg: Leg) -> Order | None:
    """The leg's order that counts; what it has superseded is on its way out."""
    return next((order for order in active if order.leg == leg and not order.superseded), None)


def _see_closed(
    position: Position, active: Sequence[Order], numbers: dict[tuple[int, str], int], amends: bool, changes: Changes
) -> None:
    """A position that is closed or being closed: its legs go; an exit that lingers leaves a stop under what is open."""
    exit_order = _standing(active, Leg.EXIT)
    lingers = position.is_open and exit_order is not None and exit_order.state in _LINGERING
    stop = _standing(active, Leg.STOP)
    may_cover = position.refused_stops < MAX_REFUSED_STOPS and (stop is None or not stop.cancel_wanted)
    if lingers and position.stop is not None and may_cover:
        _cover(position, Leg.STOP, position.stop, stop, numbers, amends, changes)
    for order in active:
        if order.leg == Leg.TARGET or (order.leg == Leg.STOP and (order.superseded or not lingers)):
            _withdraw(order, changes)
    if position.is_open and exit_order is None:
        _exit_again(position, changes)


def _cover(
    position: Position,
    leg: Leg,
    level: Decimal,
    order: Order | None,
    numbers: dict[tuple[int, str], int],
    amends: bool,
    changes: Changes,
) -> None:
    """Make one leg cover what is open: created, resized in place, or withdrawn to be replaced once the cancel is confirmed."""
    if order is None:
        changes.created.append(
            _leg(
                position,
                leg,
                level,
                position.quantity,
                numbers.get((position.entry_execution_id, leg.value), 0),
                changes.now,
            )
        )
        return
    wanted = order.filled + position.quantity
    if wanted == (order.wanted_quantity or order.quantity):
        return
    if order.state is OrderStatus.CREATED:
        order.quantity = wanted
    elif order.state in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
        position.protection_due = True  # its fate decides what to do
        return
    elif amends:
        order.wanted_quantity = wanted
    else:
        order.cancel_wanted = True
    changes.touched[order.pk] = order


def _leg(position: Position, leg: Leg, level: Decimal, quantity: Decimal, n: int, now: datetime) -> Order:
    order_id, tag = order_ids(position.entry_execution, leg, n)
    return fast.new(
        Order,
        tenant_id=position.tenant_id,
        account_id=position.account_id,
        subscription_id=position.subscription_id,
        instrument_id=position.instrument_id,
        execution=position.entry_execution,
        position=position,
        leg=leg.value,
        n=n,
        client_order_id=order_id,
        tag=tag,
        side=closing_side(Direction(position.direction)).value,
        type=(OrderType.STOP if leg is Leg.STOP else OrderType.TAKE_PROFIT).value,
        quantity=quantity,
        trigger=level,
        reduce_only=True,
        leverage=position.leverage,
        created_at=now,
        updated_at=now,
    )


def _withdraw(order: Order, changes: Changes) -> None:
    if order.state is OrderStatus.CREATED:
        move(order, OrderStatus.CANCELLED, changes.now, "the position is closed")
    elif order.cancel_wanted:
        return
    else:
        order.cancel_wanted = True
    changes.touched[order.pk] = order


def _exit_again(position: Position, changes: Changes) -> None:
    """A position that is to be closed has no exit under way: its exit was refused or never arrived. Write the next one, a few times."""
    last = (
        Order.objects.filter(position_id=position.pk, leg=Leg.EXIT.value)
        .order_by("-pk")
        .select_related("execution__signal", "execution__instruction", "execution__subscription")
        .first()
    )
    if last is None or last.n + 1 >= MAX_EXITS:
        # It stays open for a person to close: then at least with its stop.
        position.is_closing, position.protection_due = False, True
        changes.stuck.append(position)
        return
    order = _leg(position, Leg.EXIT, Decimal(1), position.quantity, last.n + 1, changes.now)
    order.execution, order.type, order.trigger = last.execution, OrderType.MARKET.value, None
    order.client_order_id, order.tag = order_ids(last.execution, Leg.EXIT, last.n + 1)
    changes.created.append(order)


def _write(positions: Sequence[Position], changes: Changes) -> None:
    for position in changes.emergencies:
        _close_at_market(position, changes.now)
    facts = [_halted(position, changes.now) for position in changes.stuck]
    Account.objects.filter(pk__in=[p.account_id for p in changes.stuck]).update(
        state=AccountState.HALTED, state_reason="a position cannot be closed; close it at the venue and resume"
    )
    # A stop that ends makes room for the one that replaces it, so it is written first.
    fast.update(list(changes.touched.values()), ORDER_STATE)
    fast.write_together(
        fast.Update(positions, ("protection_due", "is_closing")),
        fast.Insert(changes.created),
        outbox.prepared(facts),
    )
    if changes.created or changes.touched:
        ring_on_commit("place")
    if changes.stuck:
        ring_on_commit("protect")


def _close_at_market(position: Position, now: datetime) -> None:
    """The venue keeps refusing the stop: an emergency instruction closes the position; its unique key makes it one."""
    key = f"emergency:{execution_key(position.entry_execution)}"
    instruction, made = Instruction.objects.get_or_create(
        tenant_id=position.tenant_id,
        key=key,
        defaults={
            "public_id": uuid.uuid5(NAMESPACE, key),
            "kind": InstructionKind.EMERGENCY,
            "account_id": position.account_id,
            "subscription_id": position.subscription_id,
            "reason": f"the venue refused the stop {position.refused_stops} times",
            "created_at": now,
        },
    )
    if made:
        kind = SignalKind.EXIT_LONG if position.direction == Direction.LONG else SignalKind.EXIT_SHORT
        Execution.objects.create(
            tenant_id=position.tenant_id,
            subscription_id=position.subscription_id,
            account_id=position.account_id,
            instruction=instruction,
            kind=kind.value,
            created_at=now,
        )
        emit([Fact("emergency_exit", position.tenant_id, now, {"position": position.pk, "severity": "HIGH"})])
        ring_on_commit("decide")


def _halted(position: Position, now: datetime) -> Fact:
    payload = {"account": position.account_id, "position": position.pk, "reason": "a position cannot be closed"}
    return Fact("account_halted", position.tenant_id, now, payload)
