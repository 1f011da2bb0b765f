"""Stage `place`: the network side of the order table. It never decides.

A round is three steps. Claim: what is to be sent is committed as SENDING with its attempt, right before the bytes leave. Call: all
requests at once, cancels and amendments, then exits, then protection, then entries, each bounded in time. Answers: written
back together. A placing is never repeated: what had no clear answer is UNKNOWN, and `reconcile` looks it up.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from signalist.accounts.models import Account, AccountState
from signalist.accounts.sessions import Sessions
from signalist.clock import Clock, monotonic
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.money import plain
from signalist.domain.orders import AT_VENUE, Leg, OrderStatus, OrderType, Side
from signalist.events import outbox
from signalist.events.outbox import Fact, emit
from signalist.failpoints import failpoint
from signalist.markets.selectors import instruments
from signalist.trading.folding import release_reservations
from signalist.trading.models import STILL_ACTIVE, AttemptAction, Order, OrderAttempt, Position
from signalist.trading.transitions import ORDER_ANSWERED, ORDER_SENT, move, move_if_allowed
from signalist.venues.base import Ack, OrderReport, OrderRequest
from signalist.venues.errors import Next, NoAnswer, OrderNotOpen, VenueError

ATTEMPT_ANSWERED = ("response", "success", "error_type", "error_message", "latency_ms")
BATCH = 400
_RANK = {Leg.EXIT: 1, Leg.STOP: 2, Leg.TARGET: 3, Leg.ENTRY: 4}
# Cancels and amendments first, then exits, protection, entries; what the venue put off is left until its time.
_TURN = "CASE WHEN status <> 'CREATED' THEN 0 WHEN leg = 'EXIT' THEN 1 WHEN leg = 'ENTRY' THEN 3 ELSE 2 END"
_WAITING = (
    f"{STILL_ACTIVE} AND NOT busy AND (not_before IS NULL OR not_before <= %s) AND (status = 'CREATED' OR"
    " (status IN ('WORKING', 'PARTIAL') AND (cancel_wanted OR wanted_quantity IS NOT NULL)))"
    f" AND ({_TURN}, id) > (%s, %s) ORDER BY {_TURN}, id LIMIT %s"
)
# A stop that the venue will not cancel does not hold its exit back for ever: both are reduce-only.
PATIENCE = 5
LONGEST_PAUSE = 60


@dataclass(slots=True)
class Errand:
    """One request to a venue and what came of it."""

    order: Order
    account: Account
    attempt: OrderAttempt
    answer: Ack | OrderReport | None = None
    error: VenueError | None = None
    latency_ms: float = 0.0


@dataclass(slots=True)
class Round:
    """What a claim found: errands to run, and orders that ended without leaving the house."""

    errands: list[Errand] = field(default_factory=list)
    dropped: list[Order] = field(default_factory=list)


async def place(
    sessions: Sessions, clock: Clock, engine: uuid.UUID, in_database: Callable[[Callable[[], Any]], Awaitable[Any]]
) -> int:
    """One round; returns how many orders it moved."""
    work: Round = await in_database(lambda: claim(engine, clock.now()))
    if work.errands:
        await asyncio.gather(*(_run(errand, sessions) for errand in work.errands))
        await in_database(lambda: write_answers(work.errands, clock.now()))
    return len(work.errands) + len(work.dropped)


# --- Claim ---------------------------------------------------------------------------------------


def claim(engine: uuid.UUID, now: datetime, limit: int = BATCH) -> Round:
    """Commit what is about to be sent, in batches of `limit`. What has to wait is passed over and keeps nothing else from its turn."""
    work = Round()
    behind: tuple[int, int] | None = (-1, 0)
    while behind is not None and len(work.errands) + len(work.dropped) < limit:
        behind = _claim_batch(engine, now, limit, behind, work)
    if behind is not None:
        ring_on_commit("place")
    work.errands.sort(key=_urgency)
    return work


def _claim_batch(
    engine: uuid.UUID, now: datetime, limit: int, behind: tuple[int, int], work: Round
) -> tuple[int, int] | None:
    """Add what comes behind this (turn, id) to `work`; returns what to go on behind, None where nothing is left."""
    with unit("place.claim"):
        orders = _candidates(now, limit, behind)
        if not orders:
            return None
        left = (_turn(orders[-1]), orders[-1].pk) if len(orders) == limit else None
        positions = {
            p.pk: p for p in fast.select_ids(Position, sorted({o.position_id for o in orders if o.position_id}))
        }
        accounts = {a.pk: a for a in fast.select_ids(Account, sorted({o.account_id for o in orders}))}
        guarded = _still_protected([o for o in orders if o.leg == Leg.EXIT and o.state is OrderStatus.CREATED])
        found = Round()
        for order in orders:
            _claim_one(
                order, positions.get(order.position_id or 0), accounts[order.account_id], guarded, found, engine, now
            )
        fast.update([errand.order for errand in found.errands] + found.dropped, ORDER_SENT)
        release_reservations([order for order in found.dropped if order.leg == Leg.ENTRY])
        fast.insert([errand.attempt for errand in found.errands], returning=True)
        emit([_fact("order_dropped", order, now) for order in found.dropped])
        if found.dropped:
            ring_on_commit("protect", "decide")
    work.errands += found.errands
    work.dropped += found.dropped
    return left


def _candidates(now: datetime, limit: int, behind: tuple[int, int]) -> list[Order]:
    """Orders to send, cancel or amend behind this (turn, id); those that another engine has in hand are passed over."""
    put_off = fast.prepared(Order, "not_before", now)
    orders = fast.select(Order, _WAITING, [put_off, *behind, limit], lock="skip")
    known = instruments({order.instrument_id for order in orders})
    for order in orders:
        order.instrument = known[order.instrument_id]
    return orders


def _turn(order: Order) -> int:
    """The order's turn, as `_WAITING` counts it, before it was claimed."""
    if order.state is not OrderStatus.CREATED:
        return 0
    return {Leg.EXIT: 1, Leg.ENTRY: 3}.get(Leg(order.leg), 2)


def _still_protected(exits: Sequence[Order]) -> set[int]:
    """The positions of these exits that still have a stop or target at the venue: their exits wait for the cancels."""
    ids = {order.position_id for order in exits}
    if not ids:
        return set()
    active = fast.select_ids(
        Order, sorted(filter(None, ids)), f"{STILL_ACTIVE} AND leg IN ('STOP', 'TARGET')", column="position_id"
    )
    holding = [order for order in active if order.state in AT_VENUE and order.attempts <= PATIENCE]
    return {order.position_id for order in holding if order.position_id}


def _claim_one(
    order: Order,
    position: Position | None,
    account: Account,
    guarded: set[int],
    work: Round,
    engine: uuid.UUID,
    now: datetime,
) -> None:
    leg, state = Leg(order.leg), order.state
    if state is OrderStatus.CREATED:
        problem = _moot(order, leg, position, account, now)
        if problem is not None:
            move(order, *problem[:1], now, problem[1])
            work.dropped.append(order)
        elif not (leg is Leg.EXIT and order.position_id in guarded):
            move(order, OrderStatus.SENDING, now)
            order.sender = engine
            work.errands.append(_errand(order, account, AttemptAction.PLACE, _request_of(order), engine, now))
    elif state in (OrderStatus.WORKING, OrderStatus.PARTIAL):
        action = AttemptAction.CANCEL if order.cancel_wanted else AttemptAction.AMEND
        request = {"client_order_id": order.client_order_id}
        if action is AttemptAction.AMEND and order.wanted_quantity is not None:
            request["quantity"] = plain(order.wanted_quantity)
        order.busy, order.sender = True, engine
        work.errands.append(_errand(order, account, action, request, engine, now))


def _moot(
    order: Order, leg: Leg, position: Position | None, account: Account, now: datetime
) -> tuple[OrderStatus, str] | None:
    """Why an order that was not sent yet is not sent at all."""
    if order.cancel_wanted:
        return OrderStatus.CANCELLED, "withdrawn before it was sent"
    if leg is Leg.ENTRY:
        if order.deadline is not None and now > order.deadline:
            return OrderStatus.EXPIRED, "past its deadline before it was sent"
        if account.state != AccountState.ACTIVE:
            return OrderStatus.CANCELLED, f"the account is {account.state.lower()}"
        return None
    if position is None or not position.is_open:
        return OrderStatus.CANCELLED, "the position is closed already"
    if leg is Leg.TARGET and position.is_closing:
        return OrderStatus.CANCELLED, "the position is being closed"
    if leg is Leg.EXIT:
        # A share of what is really held: fills may have come since the decision.
        order.quantity = min(order.quantity, position.quantity) if order.n == 0 else position.quantity
    return None


def _errand(
    order: Order, account: Account, action: AttemptAction, request: dict[str, Any], engine: uuid.UUID, now: datetime
) -> Errand:
    order.attempts += 1
    attempt = OrderAttempt(
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
        "trigger": text(order.trigger),
        "reduce_only": order.reduce_only,
    }


def _urgency(errand: Errand) -> tuple[int, int]:
    rank = 0 if errand.attempt.action != AttemptAction.PLACE else _RANK[Leg(errand.order.leg)]
    return rank, errand.order.pk


# --- Call ----------------------------------------------------------------------------------------


async def _run(errand: Errand, sessions: Sessions) -> None:
    """Run one errand. Whatever is not a clear answer is NoAnswer."""
    begun = monotonic()
    try:
        within = sessions.capabilities(errand.account.venue).answer_within
        failpoint("place.call")
        errand.answer = await asyncio.wait_for(_called(errand, sessions), within)
        failpoint("place.called")
    except VenueError as error:
        errand.error = error
        if error.next is Next.RECONNECT:
            sessions.drop(errand.account)
    except TimeoutError:
        errand.error = NoAnswer("The venue did not answer in time.")
    except Exception as error:  # noqa: BLE001 an adapter that breaks stops nobody else; its order is in doubt
        errand.error = NoAnswer(f"{type(error).__name__} while talking to the venue")
    errand.latency_ms = (monotonic() - begun) * 1000


async def _called(errand: Errand, sessions: Sessions) -> Ack | OrderReport:
    order, session = errand.order, sessions.of(errand.account)
    if errand.attempt.action == AttemptAction.CANCEL:
        return await session.cancel(order.client_order_id)
    if errand.attempt.action == AttemptAction.AMEND:
        assert order.wanted_quantity is not None
        return await session.amend(order.client_order_id, order.wanted_quantity)
    return await session.place(
        OrderRequest(
            client_order_id=order.client_order_id,
            symbol=order.instrument.symbol,
            side=Side(order.side),
            type=OrderType(order.type),
            quantity=order.quantity,
            price=order.price,
            trigger=order.trigger,
            reduce_only=order.reduce_only,
            leverage=order.leverage,
            tag=order.tag,
            expires_at=order.deadline,
        )
    )


# --- Answers -------------------------------------------------------------------------------------


def write_answers(errands: Sequence[Errand], now: datetime) -> None:
    """Write the answers back. The orders are read anew: their fills may have been faster than their answers."""
    with unit("place.answers"):
        fast.select_ids(Account, sorted({errand.account.pk for errand in errands}), lock="update")
        ids = sorted(errand.order.pk for errand in errands)
        fresh = {o.pk: o for o in fast.select_ids(Order, ids, lock="update")}
        facts: list[Fact] = []
        for errand in errands:
            order = fresh[errand.order.pk]
            order.busy = False
            _complete(errand)
            if errand.attempt.action == AttemptAction.PLACE:
                _placed(order, errand, now)
            else:
                _changed(order, errand, now)
            facts.append(_fact("order_answered", order, now))
        fast.write_together(
            fast.Update(list(fresh.values()), ORDER_ANSWERED),
            fast.Update([e.attempt for e in errands], ATTEMPT_ANSWERED),
            outbox.prepared(facts),
        )
        _after_refusals(list(fresh.values()))
        in_doubt = any(order.state is OrderStatus.UNKNOWN for order in fresh.values())
        ring_on_commit("place", "protect", "decide", *(["look_up"] if in_doubt else []))


def _complete(errand: Errand) -> None:
    attempt, error, answer = errand.attempt, errand.error, errand.answer
    attempt.latency_ms, attempt.success = round(errand.latency_ms, 3), error is None
    if error is not None:
        attempt.error_type, attempt.error_message = error.code, str(error)[:300]
    elif isinstance(answer, OrderReport):
        attempt.response = {
            "venue_order_id": answer.venue_order_id,
            "status": answer.status.value,
            "filled": plain(answer.filled),
        }
    elif answer is not None:
        attempt.response = {"venue_order_id": answer.venue_order_id}


def _placed(order: Order, errand: Errand, now: datetime) -> None:
    if isinstance(errand.answer, Ack):
        order.venue_order_id = errand.answer.venue_order_id
        if order.state in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
            move(order, OrderStatus.WORKING, now)
        return
    error = errand.error
    assert error is not None
    reason = f"{error.code}: {error}"
    if error.next is Next.RETRY and order.state is OrderStatus.SENDING:
        # The venue did not look at it: it may go again, later, and an entry only until its deadline.
        move(order, OrderStatus.CREATED, now, reason)
        order.not_before = now + _pause(order)
    elif error.next is Next.FINAL:
        move_if_allowed(order, OrderStatus.REJECTED, now, reason)
    else:
        move_if_allowed(order, OrderStatus.UNKNOWN, now, reason)


def _changed(order: Order, errand: Errand, now: datetime) -> None:
    """After a cancel or an amendment. One that came too late leaves the order in doubt until it has been looked up."""
    asked = errand.order
    if isinstance(errand.answer, OrderReport):
        if errand.attempt.action == AttemptAction.CANCEL:
            move_if_allowed(order, OrderStatus.CANCELLED, now, "cancelled on request")
            return
        order.quantity = errand.answer.quantity
        if order.wanted_quantity == asked.wanted_quantity:
            order.wanted_quantity = None
        if order.filled >= order.quantity:
            move_if_allowed(order, OrderStatus.FILLED, now)
    elif isinstance(errand.error, OrderNotOpen):
        order.cancel_wanted, order.wanted_quantity = False, None
        move_if_allowed(order, OrderStatus.UNKNOWN, now, str(errand.error))
    elif errand.error is not None:
        order.not_before = now + _pause(order)
        order.reason = f"{errand.error.code}: {errand.error}"[:200]
        if errand.error.next is Next.FINAL and errand.attempt.action == AttemptAction.AMEND:
            # The venue will not amend it: withdraw it, and protection is written anew.
            order.wanted_quantity, order.cancel_wanted = None, True


def _pause(order: Order) -> timedelta:
    """How long to leave a venue alone that did not take a request: longer with every attempt, a minute at most."""
    return timedelta(seconds=min(2**order.attempts, LONGEST_PAUSE))


def _after_refusals(orders: Sequence[Order]) -> None:
    """A refused entry gives its money back; a position whose stop, target or exit was refused or cancelled is looked at again."""
    final = [order for order in orders if order.state.is_final]
    release_reservations([order for order in final if order.leg == Leg.ENTRY])
    # An exit that the venue has taken and not filled at once is looked at too: it may linger.
    ids = {
        order.position_id for order in orders if order.position_id and (order.state.is_final or order.leg == Leg.EXIT)
    }
    if not ids:
        return
    refused = {o.position_id for o in final if o.leg == Leg.STOP and o.state is OrderStatus.REJECTED}
    positions = fast.select_ids(Position, sorted(ids), lock="update")
    for position in positions:
        position.protection_due = True
        position.refused_stops += position.pk in refused
    fast.update(positions, ("protection_due", "refused_stops"))


def _fact(kind: str, order: Order, now: datetime) -> Fact:
    payload = {"order": order.pk, "leg": order.leg, "status": order.status, "reason": order.reason}
    return Fact(kind, order.tenant_id, now, payload)
