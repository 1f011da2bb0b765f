"""Stage `protect`: protection follows the net filled quantity. It writes orders; `place` sends them.

One active stop per position, and one active target per rung of its ladder. A quantity or a level that changed is amended in place where
the venue can, else the order is withdrawn and replaced. What a venue cannot keep is watched by the engine (`watching`). A closed
position's legs are withdrawn. An exit that was lost is written anew, and a position whose stop the venue keeps refusing is closed at
market (CON-31).
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit, wakes
from signalist.domain.orders import Leg, OrderStatus
from signalist.events import outbox
from signalist.execution import leases
from signalist.execution.closing import LINGERING, give_up_rest, halted_for, see_closed
from signalist.execution.commands import close_by_rule
from signalist.execution.legs import (
    ON_ITS_WAY,
    Changes,
    Numbers,
    cover,
    standing,
    withdraw,
)
from signalist.execution.protection_plan import plan_of, wanted_legs
from signalist.execution.vanishing import MAX_LOST_STOPS, books_differ
from signalist.markets.selectors import instruments
from signalist.trading import stop_tries
from signalist.trading.dust import netted_away, write_off
from signalist.trading.models import STILL_ACTIVE, Execution, InstructionKind, Order, Position
from signalist.trading.selectors import attach_causes
from signalist.trading.transitions import ORDER_GUARDING
from signalist.venues.base import Capabilities

BATCH = 400
_LOOKED_AFTER = (
    *("protection_due", "is_open", "is_closing", "closed_at", "dust", "watched", "lost_stops", "exit_rounds"),
    *stop_tries.STOP_TRIES,
)
Abilities = Callable[[str], Capabilities]
Filled = Mapping[int, Mapping[int, Decimal]]


def protect(now: datetime, abilities: Abilities, limit: int = BATCH, engine: uuid.UUID | None = None) -> int:
    """Bring the protection of positions that changed into line, in batches of `limit`, on the accounts that `engine` holds (None: on
    all); returns how many were looked at. `abilities` tells what a venue can do.

    A position whose order's fate must be known first stays due, and keeps no other waiting: the next batch begins behind it.
    """
    looked = settled = waiting = 0
    behind: tuple[Any, ...] | None = ()
    while behind is not None and settled < limit:
        positions, behind = _protect_batch(now, abilities, limit, behind, engine)
        looked += len(positions)
        due = sum(position.protection_due for position in positions)
        settled, waiting = settled + len(positions) - due, waiting + due
    wakes.left("protect", waits=waiting > 0 or behind is not None)
    if behind is not None:
        ring_on_commit("protect")
    return looked


def _protect_batch(
    now: datetime, abilities: Abilities, limit: int, behind: tuple[Any, ...], engine: uuid.UUID | None
) -> tuple[list[Position], tuple[Any, ...] | None]:
    """Look after what is due behind this (opened, id): the positions, and what to go on behind, None where nothing is left."""
    waiting = _waiting(limit, behind, engine)
    if not waiting:
        return [], None
    left = (waiting[-1][2], waiting[-1][0]) if len(waiting) == limit else None
    with unit("protect.batch"):
        positions = _due(waiting, engine)
        if not positions:
            return [], left
        ids = [position.pk for position in positions]
        active: dict[int, list[Order]] = defaultdict(list)
        for order in fast.select_ids(Order, ids, STILL_ACTIVE, column="position_id", lock="update"):
            active[order.position_id or 0].append(order)
        numbers = _numbers(sorted({position.entry_execution_id for position in positions}))
        filled = _filled_rungs([position for position in positions if position.is_open and plan_of(position).ladder])
        changes = Changes(now)
        netted = netted_away(positions)
        for position in positions:
            venue = abilities(position.account.venue)
            if position.pk in netted:
                position.protection_due = False
                give_up_rest(position, active[position.pk], changes)
                continue
            _look_after(position, active[position.pk], numbers, filled.get(position.pk, {}), venue, changes)
        _close_at_market(changes)
        for position, _ in changes.emergencies:
            # It was told to close before, and is open all the same: until it is closed a stop is tried on.
            venue = abilities(position.account.venue)
            _cover(position, active[position.pk], numbers, filled.get(position.pk, {}), venue, changes)
        _write(positions, changes)
    return positions, left


def _waiting(limit: int, behind: tuple[Any, ...], engine: uuid.UUID | None) -> list[tuple[Any, ...]]:
    """(id, account, opened) of what is due behind this; asked before the transaction, of which there is none where nothing is due."""
    later = " AND (opened_at, id) > (%s, %s)" if behind else ""
    held, holder = leases.of(engine)
    begun = [fast.prepared(Position, "opened_at", behind[0]), behind[1]] if behind else []
    return fast.tuples(
        f"SELECT id, account_id, opened_at FROM trading_position WHERE protection_due{later} AND {held}"
        " ORDER BY opened_at, id LIMIT %s",
        [*begun, *holder, limit],
    )


def _due(waiting: Sequence[tuple[Any, ...]], engine: uuid.UUID | None) -> list[Position]:
    # The account is every stage's first lock; what another engine looked after meanwhile is not due any more.
    locked = fast.select_ids(Account, sorted({row[1] for row in waiting}), lock="update")
    accounts = leases.mine(locked, engine)
    positions = fast.select_ids(Position, sorted(row[0] for row in waiting if row[1] in accounts), "protection_due")
    executions = {e.pk: e for e in fast.select_ids(Execution, sorted({p.entry_execution_id for p in positions}))}
    attach_causes(list(executions.values()))
    for position in positions:
        fast.relate(position, "entry_execution", executions[position.entry_execution_id])
        fast.relate(position, "account", accounts[position.account_id])
    return positions


def _numbers(execution_ids: Sequence[int]) -> Numbers:
    """How many orders each leg of these executions has had, and how many targets were refused."""
    mine, ids = fast.among("execution_id", execution_ids)
    counted = fast.tuples(
        "SELECT execution_id, leg, rung, COUNT(*), SUM(CASE WHEN status IN ('DENIED', 'REJECTED') THEN 1 ELSE 0 END)"
        f" FROM trading_order WHERE {mine} GROUP BY execution_id, leg, rung",
        ids,
    )
    numbers = Numbers()
    for execution_id, leg, rung, count, refused in counted:
        numbers.made[execution_id, leg] = numbers.made.get((execution_id, leg), 0) + count
        numbers.refused[execution_id, leg, rung] = refused
    return numbers


def _filled_rungs(laddered: Sequence[Position]) -> dict[int, dict[int, Decimal]]:
    """What each rung of these positions' ladders has taken; no query where there is no ladder."""
    found: dict[int, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for order in fast.select_ids(Order, [p.pk for p in laddered], "leg = 'TARGET'", column="position_id"):
        found[order.position_id or 0][order.rung] += order.filled
    return found


def _look_after(
    position: Position,
    active: Sequence[Order],
    numbers: Numbers,
    filled: Mapping[int, Decimal],
    venue: Capabilities,
    changes: Changes,
) -> None:
    position.protection_due = False
    if not position.is_open or position.is_closing:
        see_closed(position, active, numbers, venue, changes)
        return
    spec = instruments({position.instrument_id})[position.instrument_id].spec()
    if position.refused_stops and spec.too_small(position.quantity, position.holding().average_entry) is not None:
        give_up_rest(position, active, changes)
        return
    stop = standing(active, Leg.STOP)
    stop_tries.note(position, stop, changes.now)
    if reason := stop_tries.why_close(position, stop, changes.now):
        changes.emergencies.append((position, reason))
        return
    if stop is None and position.lost_stops >= MAX_LOST_STOPS:
        changes.vanishing.append(position)
        return
    _cover(position, active, numbers, filled, venue, changes)


def _cover(
    position: Position,
    active: Sequence[Order],
    numbers: Numbers,
    filled: Mapping[int, Decimal],
    venue: Capabilities,
    changes: Changes,
) -> None:
    """Make the orders of an open position be what should protect it."""
    spec = instruments({position.instrument_id})[position.instrument_id].spec()
    wanted, stop = wanted_legs(position, venue, filled, spec), standing(active, Leg.STOP)
    position.watched = plan_of(position).follows_the_market or any(leg.watched for leg in wanted)
    left_by_stop = stop is not None and stop.is_triggered
    for leg in wanted:
        held_back = left_by_stop if leg.leg is Leg.TARGET else _is_making_way(active, venue)
        if not held_back:
            cover(position, leg, standing(active, leg.leg, leg.rung), numbers, venue.amend, changes)
    places = {leg.place for leg in wanted}
    for order in active:
        left_over = (order.leg, order.rung) not in places and not order.is_triggered
        if Leg(order.leg).protects and (order.superseded or left_over):
            withdraw(order, changes, "no longer part of the protection")
    if position.watched:
        ring_on_commit("watch")


def _is_making_way(active: Sequence[Order], venue: Capabilities) -> bool:
    """Whether the stop was taken down so that a target, which the market has reached, can be sent: it comes back after that."""
    leaving = (order for order in active if order.leg == Leg.TARGET and order.is_triggered)
    return venue.reserves_exits and any(order.state in ON_ITS_WAY or order.state in LINGERING for order in leaving)


def _close_at_market(changes: Changes) -> None:
    """Tell the positions that have no stop to close; those that had been told before stay among the emergencies."""
    told = close_by_rule(list(changes.emergencies), InstructionKind.EMERGENCY, changes.now)
    changes.emergencies = [(position, reason) for position, reason in changes.emergencies if position not in told]


def _write(positions: Sequence[Position], changes: Changes) -> None:
    facts = [fact for position in changes.stuck for fact in halted_for(position, changes.now)]
    facts += [fact for position in changes.vanishing for fact in books_differ(position, changes.now)]
    trades, told = write_off(changes.dust, changes.now)
    # A stop that ends makes room for the one that replaces it, so it is written first.
    fast.update(list(changes.touched.values()), ORDER_GUARDING)
    fast.write_together(
        fast.Update(positions, _LOOKED_AFTER),
        fast.Insert(changes.created),
        fast.Insert(trades),
        outbox.prepared(facts + told),
    )
    if changes.created or changes.touched:
        ring_on_commit("place")
    if any(order.state is OrderStatus.UNKNOWN for order in changes.touched.values()):
        ring_on_commit("look_up")
    if changes.stuck or trades:
        ring_on_commit("protect", "measure", "decide")
