"""Stage `watch`: what no venue keeps for a position is kept by the engine, on prices and time.

A stop or target that is watched is an order that has not been sent. When the market reaches it, it becomes a market order, once, under the
lock of its account; `place` sends it like any other, and when the row says that it was triggered it was. A plan's stop moves here too, and
a position that has lived long enough is closed. Prices come from the stream, or from the candle that closed last; where both are old,
that is alarmed.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import plain
from signalist.domain.orders import Leg, OrderStatus, OrderType
from signalist.domain.protection import Move, Plan, moved_stop, outlived, reached
from signalist.domain.signals import Direction
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.execution import leases
from signalist.execution.commands import close_by_rule
from signalist.execution.legs import Changes, withdraw
from signalist.execution.limits import BLIND_AFTER
from signalist.execution.protection_plan import guarded, plan_of
from signalist.markets.selectors import instruments
from signalist.markets.sight import Sight, sights
from signalist.trading.models import STILL_ACTIVE, Execution, InstructionKind, Order, Position, StopMove
from signalist.trading.selectors import attach_causes
from signalist.trading.transitions import ORDER_GUARDING
from signalist.venues.base import Capabilities

BATCH = 400
_WATCHED = "is_open AND watched AND {mine} ORDER BY id"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a watched position calls for. `triggered`: the orders that the market has reached, and when it did."""

    triggered: tuple[tuple[Order, datetime], ...] = ()
    move: Move | None = None
    is_over: bool = False
    turns_blind: bool = False
    sees_again: bool = False

    @property
    def calls(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.triggered or self.move or self.is_over or self.turns_blind or self.sees_again)


@dataclass(frozen=True, slots=True)
class _Case:
    """A watched position with its active orders, what is seen of its market, and what that calls for."""

    position: Position
    active: Sequence[Order]
    sight: Sight
    verdict: Verdict


@dataclass(slots=True)
class _Writes:
    """What a batch writes, besides orders."""

    changed: dict[int, Position] = field(default_factory=dict)
    moves: list[StopMove] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    outlived: list[tuple[Position, str]] = field(default_factory=list)


def watch(now: datetime, abilities: Callable[[str], Capabilities], engine: uuid.UUID | None = None) -> int:
    """Look at every watched position of the accounts that `engine` holds (None: of all); returns how many there are.

    Only those that call for something are locked, a batch in a call; it rings for the rest. A constant number of queries.
    """
    held, holder = leases.of(engine)
    positions = fast.select(Position, _WATCHED.format(mine=held), holder)
    if not positions:
        return 0
    seen = sights(sorted({position.instrument_id for position in positions}))
    calling = [case.position for case in _judged(positions, seen, now, lock="") if case.verdict.calls]
    if calling:
        _act(calling[:BATCH], seen, now, abilities, engine)
    if len(calling) > BATCH:
        ring_on_commit(
            "watch"
        )  # others have their turn between two batches: the heartbeat, and what the first has written
    return len(positions)


# --- Judging -------------------------------------------------------------------------------------


def _judged(positions: Sequence[Position], seen: dict[int, Sight], now: datetime, *, lock: str) -> list[_Case]:
    """What each of these positions calls for; two queries. Their entry executions are given to them."""
    ids = sorted({position.entry_execution_id for position in positions})
    executions = {execution.pk: execution for execution in fast.select_ids(Execution, ids)}
    active: dict[int, list[Order]] = defaultdict(list)
    for order in fast.select_ids(Order, [p.pk for p in positions], STILL_ACTIVE, column="position_id", lock=lock):
        active[order.position_id or 0].append(order)
    cases = []
    for position in positions:
        position.entry_execution = executions[position.entry_execution_id]
        orders, sight = active[position.pk], seen[position.instrument_id]
        cases.append(_Case(position, orders, sight, _verdict(position, orders, sight, now)))
    return cases


def _verdict(position: Position, active: Sequence[Order], sight: Sight, now: datetime) -> Verdict:
    plan = plan_of(position)
    triggered = _triggered(position, active, sight, now)
    over = not position.is_closing and outlived(plan, position.opened_at, now)
    age = sight.age(now)
    needs_price = any(order.watched for order in active) or plan.break_even is not None or plan.trail is not None
    blind = needs_price and (age is None or age > BLIND_AFTER)
    is_leaving = position.is_closing or any(order.is_triggered for order in active)
    move = None
    if not (blind or triggered or is_leaving or sight.price is None):
        move = _move(position, plan, sight.price)
    return Verdict(
        triggered=triggered,
        move=move,
        is_over=over,
        turns_blind=blind and position.blind_since is None,
        sees_again=not blind and position.blind_since is not None,
    )


def _triggered(
    position: Position, active: Sequence[Order], sight: Sight, now: datetime
) -> tuple[tuple[Order, datetime], ...]:
    """The watched orders that the market has reached; the stop alone where it is among them: inside one candle it comes first."""
    if any(order.is_triggered and order.leg == Leg.STOP for order in active):
        return ()
    waiting = [o for o in active if o.watched and o.state is OrderStatus.CREATED and o.trigger is not None]
    hit = [(order, at) for order in waiting if (at := _reached_at(order, position, sight, now)) is not None]
    stops = [(order, at) for order, at in hit if order.leg == Leg.STOP]
    return tuple(stops or ([] if position.is_closing else hit))


def _reached_at(order: Order, position: Position, sight: Sight, now: datetime) -> datetime | None:
    """When the market came to it; None where it did not.

    By the newest price, however old it is by now, if the position was open when it was made; or by a candle that began after the order
    was there as it is. What the market did before that it did to somebody else.
    """
    assert order.trigger is not None
    direction, is_stop = Direction(position.direction), order.leg == Leg.STOP
    age = sight.age(now)
    if sight.price is not None and sight.at is not None and age is not None:
        counts = age <= BLIND_AFTER or sight.at >= position.opened_at
        if counts and reached(direction, order.trigger, sight.price, stop=is_stop):
            return sight.at
    if sight.low is None or sight.high is None or sight.began is None or sight.began < order.updated_at:
        return None
    edge = sight.low if (direction is Direction.LONG) == is_stop else sight.high
    return sight.ended if reached(direction, order.trigger, edge, stop=is_stop) else None


def _move(position: Position, plan: Plan, price: Decimal) -> Move | None:
    spec = instruments({position.instrument_id})[position.instrument_id].spec()
    return moved_stop(plan, guarded(position, spec), price, spec)


# --- Acting --------------------------------------------------------------------------------------


def _act(
    calling: Sequence[Position],
    seen: dict[int, Sight],
    now: datetime,
    abilities: Callable[[str], Capabilities],
    engine: uuid.UUID | None,
) -> None:
    """Do what these positions call for, judged anew under their accounts' locks: another stage may have been faster."""
    with unit("watch.batch"):
        locked = fast.select_ids(Account, sorted({position.account_id for position in calling}), lock="update")
        accounts = leases.mine(locked, engine)
        ids = sorted(position.pk for position in calling if position.account_id in accounts)
        positions = fast.select_ids(Position, ids, "is_open AND watched")
        if not positions:
            return
        cases = _judged(positions, seen, now, lock="update")
        attach_causes([position.entry_execution for position in positions])
        changes, writes = Changes(now), _Writes()
        for case in cases:
            account = accounts[case.position.account_id]
            _carry_out(case, account, abilities(account.venue), changes, writes)
        close_by_rule(writes.outlived, InstructionKind.TIME_EXIT, now)
        fast.update(list(changes.touched.values()), ORDER_GUARDING)
        fast.write_together(
            fast.Update(list(writes.changed.values()), ("stop", "blind_since", "protection_due")),
            fast.Insert(writes.moves),
            outbox.prepared(writes.facts),
        )
        if changes.touched:
            ring_on_commit("place")
        if writes.changed:
            ring_on_commit("protect")


def _carry_out(case: _Case, account: Account, venue: Capabilities, changes: Changes, writes: _Writes) -> None:
    position, verdict, sight = case.position, case.verdict, case.sight
    if verdict.turns_blind or verdict.sees_again:
        _say_what_is_seen(position, verdict.turns_blind, sight, changes.now, writes)
    for order, at in verdict.triggered:
        _trigger(order, at, case, changes, writes)
    if verdict.triggered:
        _make_way(case, venue, changes)
    elif verdict.is_over:
        writes.outlived.append((position, f"{plan_of(position).minutes} minutes have passed"))
    if verdict.move is not None and sight.price is not None:
        _move_stop(position, verdict.move, sight.price, changes.now, writes)


def _trigger(order: Order, at: datetime, case: _Case, changes: Changes, writes: _Writes) -> None:
    """Turn a watched order into a market order that is sent: the row says so once, whoever looks again."""
    position, sight = case.position, case.sight
    assert order.trigger is not None
    if order.leg == Leg.STOP:
        order.quantity = position.quantity
    order.watched, order.type = False, OrderType.MARKET.value
    order.price_at, order.updated_at = at, changes.now
    order.reference_price = sight.price
    order.reason = f"the market reached {plain(order.trigger)}"
    changes.touched[order.pk] = order
    payload = {"order": order.pk, "position": position.pk, "leg": order.leg, "level": plain(order.trigger)}
    writes.facts.append(Fact("watched_order_triggered", position.tenant_id, changes.now, payload))


def _make_way(case: _Case, venue: Capabilities, changes: Changes) -> None:
    """Take down what stands in the way: everything for a stop; for a target the stop, where the venue has locked its quantity."""
    is_stop = any(order.leg == Leg.STOP for order, _ in case.verdict.triggered)
    for order in case.active:
        if not Leg(order.leg).protects or order.is_triggered:
            continue
        if is_stop or (order.leg == Leg.STOP and not order.watched and venue.reserves_exits):
            withdraw(order, changes, "another leg was reached")


def _move_stop(position: Position, move: Move, price: Decimal, now: datetime, writes: _Writes) -> None:
    was, position.stop = position.stop, move.level
    position.protection_due = True
    writes.changed[position.pk] = position
    writes.moves.append(
        StopMove(
            tenant_id=position.tenant_id,
            position=position,
            was=was,
            level=move.level,
            price=price,
            reason=move.reason.value,
            at=now,
        )
    )
    payload = {
        "position": position.pk,
        "from": None if was is None else plain(was),
        "to": plain(move.level),
        "reason": move.reason.value,
    }
    writes.facts.append(Fact("stop_moved", position.tenant_id, now, payload))


def _say_what_is_seen(position: Position, blind: bool, sight: Sight, now: datetime, writes: _Writes) -> None:
    """Tell that a watched position's price is old, or that it is not any more."""
    position.blind_since = now if blind else None
    writes.changed[position.pk] = position
    payload = {"position": position.pk, "price_at": None if sight.at is None else sight.at.isoformat()}
    kind = "protection_blind" if blind else "protection_sees_again"
    writes.facts.append(Fact(kind, position.tenant_id, now, payload | {"severity": "HIGH" if blind else "INFO"}))
