"""Stage `decide`: one transaction of pure maths for a batch of executions; it never touches the network.

Exits come before entries. Every execution ends as taken, resized, skipped or denied, by a rule and with its numbers; what is
taken becomes an order (CREATED) and, for an entry, a reservation of its money. An entry whose subscription is still closing
the opposite position waits, until its deadline.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.accounts.own_fees import with_own_fees
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit, wakes
from signalist.domain.errors import DomainError
from signalist.domain.money import settle
from signalist.domain.orders import Leg, OrderStatus, closing_side, opening_side
from signalist.domain.rules import Allowed, Decision, Denied, EntryRequest, decide_entry
from signalist.domain.signals import Direction, Levels, basis, reanchor
from signalist.domain.sizing import margin
from signalist.execution import instructions, leases, outages
from signalist.execution.cooldowns import since_entry
from signalist.execution.entries import entry_request
from signalist.execution.hindrances import WAIT, hindrance
from signalist.execution.limits import ALLOWED_BASIS, FRESH_WITHIN
from signalist.execution.readiness import Readiness
from signalist.execution.recording import Outcome, new_order, record, write_outcome
from signalist.execution.standing import AccountBook, Picture, exits_and_entries_under_way, picture
from signalist.trading.models import (
    Execution,
    ExecutionStatus,
    InstructionKind,
    Order,
    Position,
    Reservation,
)
from signalist.trading.transitions import move, want_cancelled

BATCH = 400
_RANK = "CASE WHEN kind IN ('LONG', 'SHORT') THEN 1 ELSE 0 END"
_WAITING = (
    f"status = 'PENDING' AND (not_before IS NULL OR not_before <= %s) AND ({_RANK}, id) > (%s, %s) AND {{mine}}"
    f" ORDER BY {_RANK}, id LIMIT %s"
)
HALTED_AGAIN = timedelta(seconds=15)
"""So soon an exit that a halt keeps waiting is looked at again. Its end asks for them at once (`risk.actions`)."""


def decide(now: datetime, limit: int = BATCH, engine: uuid.UUID | None = None, gate: Readiness | None = None) -> int:
    """Decide what waits for the accounts that `engine` holds (None: for all), exits before entries, in batches of `limit`; returns how
    many executions got their answer.

    What cannot be decided yet stays where it is and keeps nobody waiting: the next batch begins behind it. `gate` keeps entries back on
    accounts whose venue has not been heard since the engine took them.
    """
    answered = waiting = 0
    behind: tuple[int, int] | None = (-1, 0)
    while behind is not None and answered < limit:
        decided, put_off, behind = _decide_batch(now, limit, behind, engine, gate)
        answered, waiting = answered + decided, waiting + put_off
    wakes.left("decide", waits=waiting > 0 or behind is not None)
    if behind is not None:
        ring_on_commit("decide")
    return answered


def _decide_batch(
    now: datetime, limit: int, behind: tuple[int, int], engine: uuid.UUID | None, gate: Readiness | None
) -> tuple[int, int, tuple[int, int] | None]:
    """Decide what comes behind this (rank, id): how many were decided and put off, and what to go on behind, None where nothing is left."""
    with unit("decide.batch"):
        # Those that another engine is deciding are passed over.
        held, holder = leases.of(engine)
        due = fast.prepared(Execution, "not_before", now)
        executions = fast.select(Execution, _WAITING.format(mine=held), [due, *behind, *holder, limit], lock="skip")
        if not executions:
            return 0, 0, None
        known = picture(executions, now)
        still = leases.mine((book.account for book in known.accounts.values()), engine)
        outcome = Outcome(replaced=instructions.replaced_by(executions))
        for execution in (execution for execution in executions if execution.account_id in still):
            if execution.signal_kind.is_entry:
                try:
                    _entry(execution, known, outcome, gate)
                except DomainError as error:  # what one subscription asks for cannot be: nobody else waits for it
                    record(execution, ExecutionStatus.DENIED, "faulty", {"problem": str(error)}, known, outcome)
            else:
                _exit(execution, known, outcome)
        write_outcome(outcome, known)
    last = executions[-1]
    left = (int(last.signal_kind.is_entry), last.pk) if len(executions) == limit else None
    return len(outcome.decided), len(executions) - len(outcome.decided), left


# --- Exits ---------------------------------------------------------------------------------------


def _exit(execution: Execution, known: Picture, outcome: Outcome) -> None:
    position = known.position_of.get(execution.subscription_id)
    orders = known.orders_of[execution.subscription_id]
    closing, entering = exits_and_entries_under_way(orders)
    if position is None and entering:
        if _wait(execution, known, outcome) and execution.not_before is None:
            execution.not_before = known.now  # it was looked at in time, however long it waits
            outcome.put_off.append(execution)
    elif position is None or position.direction != execution.signal_kind.direction.value:
        record(execution, ExecutionStatus.SKIPPED, "no_position", {}, known, outcome)
    elif closing or position.is_closing:
        record(execution, ExecutionStatus.SKIPPED, "already_closing", {}, known, outcome)
    elif _is_halted(execution, known):
        if _wait(execution, known, outcome):
            execution.not_before = known.now + HALTED_AGAIN
            outcome.put_off.append(execution)
    elif outages.is_old(execution, known.now) and (numbers := outages.hold(execution, known.now)) is not None:
        record(execution, ExecutionStatus.SKIPPED, outages.RULE, numbers, known, outcome)
    else:
        _close(execution, position, orders, known, outcome)


def _is_halted(execution: Execution, known: Picture) -> bool:
    """Whether a halt keeps this exit waiting until somebody resumes; an emergency exit goes past it."""
    restraint = known.restraint(execution)
    emergency = execution.instruction is not None and execution.instruction.kind == InstructionKind.EMERGENCY
    return restraint is not None and restraint.is_halt and not emergency


def _wait(execution: Execution, known: Picture, outcome: Outcome) -> bool:
    """What the entry fills is what there is to close: wait for its fate, or for the end of a halt. One that waits is enough, however
    often a strategy says it: False where this one is not needed."""
    place = (execution.subscription_id, execution.kind)
    older = any(key < execution.pk and kind == execution.kind for key, kind in known.exits_waiting.get(place[0], ()))
    if execution.signal is not None and (older or place in outcome.waiting):
        record(execution, ExecutionStatus.SKIPPED, "already_closing", {}, known, outcome)
        return False
    outcome.waiting.add(place)
    return True


def _close(execution: Execution, position: Position, orders: Sequence[Order], known: Picture, outcome: Outcome) -> None:
    """Withdraw protection first; `place` sends the exit when nothing protects any more (EXE-21, CON-44)."""
    position.is_closing = True
    outcome.closing.append(position)
    for order in orders:
        if (order.position_id == position.pk and Leg(order.leg).protects) or order.leg == Leg.ENTRY.value:
            _withdraw(order, known.now)
            outcome.withdrawn.append(order)
    price = known.prices.get(position.instrument_id)
    execution.quantity, execution.price = position.quantity, price[0] if price else None
    outcome.orders.append(
        new_order(
            execution,
            Leg.EXIT,
            known.now,
            position.quantity,
            side=closing_side(Direction(position.direction)),
            position=position,
        )
    )
    record(execution, ExecutionStatus.TAKEN, "", {"quantity": position.quantity}, known, outcome)


def _withdraw(order: Order, now: datetime) -> None:
    if order.state is OrderStatus.CREATED:
        move(order, OrderStatus.CANCELLED, now, "withdrawn before it was sent")
    else:
        want_cancelled(order)


# --- Entries -------------------------------------------------------------------------------------


def _entry(execution: Execution, known: Picture, outcome: Outcome, gate: Readiness | None) -> None:
    book = known.accounts[execution.account_id]
    refusal = hindrance(execution, known, outcome.replaced, gate)
    if refusal is WAIT:
        return
    if refusal is not None:
        status, rule, numbers = refusal
        record(execution, status, rule, numbers, known, outcome)
        return
    request = _request(execution, known, book, outcome.replaced)
    decision: Decision = (
        request if isinstance(request, Denied) else instructions.as_approved(execution, request, decide_entry(request))
    )
    if isinstance(decision, Denied) or isinstance(request, Denied):
        assert isinstance(decision, Denied)
        record(execution, ExecutionStatus.DENIED, decision.rule, decision.numbers, known, outcome)
        return
    _take(execution, request, decision.quantity, known, book, outcome)
    taken = isinstance(decision, Allowed)
    rule = "" if isinstance(decision, Allowed) else decision.rule
    record(
        execution, ExecutionStatus.TAKEN if taken else ExecutionStatus.RESIZED, rule, decision.numbers, known, outcome
    )


def _request(
    execution: Execution, known: Picture, book: AccountBook, replaced: Mapping[int, instructions.Replaced]
) -> EntryRequest | Denied:
    subscription = execution.subscription
    spec = with_own_fees(book.account, known.spec(subscription.instrument_id))
    if book.balance is None:
        return Denied("balance_unknown", {})
    if book.account.currency != spec.quote:
        return Denied("currency", {"account": book.account.currency, "instrument": spec.quote})
    fresh = known.prices.get(subscription.instrument_id)
    if fresh is None or known.now - fresh[1] > FRESH_WITHIN:
        return Denied(
            "basis", {"problem": "no fresh price of the traded instrument", "at": str(fresh[1]) if fresh else None}
        )
    if (asked := instructions.commanded(execution)) is not None:
        standing, old = known.standing(subscription.pk, book), instructions.replaces(execution, replaced)
        left = None if old is None else instructions.what_is_left(asked, old.order, spec)
        return instructions.entry_of(asked, execution, spec, fresh[0], standing, left)
    levels = _levels(execution, known, fresh[0])
    if isinstance(levels, Denied):
        return levels
    direction, since = execution.signal_kind.direction, since_entry(execution, known.last_entries, known.now)
    standing = replace(known.standing(subscription.pk, book), since_entry=since)
    return entry_request(subscription, direction, spec, fresh[0], levels, standing)


def _levels(execution: Execution, known: Picture, price: Decimal) -> Levels | Denied:
    """The signal's stop and target on the traded instrument; Denied where the two markets are not the same market."""
    signal, subscription = execution.signal, execution.subscription
    assert signal is not None  # what people command has been dealt with
    levels = Levels(signal.stop, signal.target)
    source, traded = signal.schedule.instrument, known.instruments[subscription.instrument_id]
    if source.pk == traded.pk:
        return levels
    if source.pair_id is None or source.pair_id != traded.pair_id:
        return Denied("pair", {"signal_instrument": str(source), "traded_instrument": str(traded)})
    fx = known.rates.of(source.quote, traded.quote, known.now)
    if fx is None:
        return Denied("basis", {"problem": f"no exchange rate {source.quote}/{traded.quote}"})
    apart = basis(signal.reference_price, price, fx)
    if abs(apart) > ALLOWED_BASIS:
        return Denied(
            "basis",
            {"basis": settle(apart), "limit": ALLOWED_BASIS, "reference": signal.reference_price, "price": price},
        )
    return reanchor(levels, signal.reference_price, price, known.spec(traded.pk))


def _take(
    execution: Execution, request: EntryRequest, quantity: Decimal, known: Picture, book: AccountBook, outcome: Outcome
) -> None:
    """Write the entry order and reserve what it will cost; later decisions of the batch see it."""
    execution.plan = execution.subscription.plan().document() or None  # raises DomainError before anything is written
    execution.price, execution.quantity = request.price, quantity
    execution.stop, execution.target = request.levels.stop, request.levels.target
    execution.capital = request.capital
    order = new_order(execution, Leg.ENTRY, known.now, quantity, side=opening_side(request.direction))
    instructions.shape(order, execution, known.position_of.get(execution.subscription_id))
    notional = settle(quantity * request.price)
    held = fast.new(
        Reservation,
        tenant_id=execution.tenant_id,
        account_id=execution.account_id,
        order=order,
        amount=margin(notional, request.leverage) + settle(notional * request.fee_rate),
        notional=notional,
        created_at=known.now,
    )
    outcome.orders.append(order)
    outcome.reservations.append(held)
    book.held_amount += held.amount
    book.held_notional += notional
    book.slots += 1
    known.orders_of[execution.subscription_id].append(order)
    known.entries_today[execution.subscription_id] = known.entries_today.get(execution.subscription_id, 0) + 1
