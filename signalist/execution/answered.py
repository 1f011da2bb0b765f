"""The last step of stage `place`: what venues answered is written back together.

An order is read anew under its account's lock, for its fills may have been faster than its answer; what cannot be known is UNKNOWN.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import free_on_commit, ring_on_commit
from signalist.domain.money import plain
from signalist.domain.orders import Leg, OrderStatus
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.execution import leases
from signalist.execution.claims import Errand, order_fact
from signalist.logs import plain_words
from signalist.trading import stop_tries
from signalist.trading.models import AttemptAction, Order
from signalist.trading.reservations import release_reservations
from signalist.trading.transitions import ORDER_ANSWERED, move, move_if_allowed, take_quantity
from signalist.venues.base import Ack, OrderReport
from signalist.venues.errors import Busy, Next, OrderNotOpen, VenueError

ATTEMPT_ANSWERED = ("response", "response_code", "success", "error_type", "error_message", "latency_ms")
LONGEST_PAUSE, LONGEST_TO_LEAVE = 60, 8
"""Seconds; the second for what closes or protects a position."""
WITHOUT_KEY = 8
"""So often what protects or closes waits for an account that cannot be opened, before it is denied and the next one is written."""
WAITS_FOR_KEY = timedelta(seconds=8)
"""Each time at most."""
_OVER = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})
"""Over at the venue, whatever was filled before."""


def write_answers(errands: Sequence[Errand], now: datetime, engine: uuid.UUID) -> None:
    """Write the answers back. The orders are read anew: their fills may have been faster than their answers.

    Where the account is another engine's by now, only the attempt learns its answer: whoever holds the account has put its orders in
    doubt, and looks them up.
    """
    with unit("place.answers"):
        accounts = fast.select_ids(Account, sorted({errand.account.pk for errand in errands}), lock="update")
        held = leases.mine(accounts, engine)
        for errand in errands:
            _complete(errand)
        fast.update([errand.attempt for errand in errands if errand.quantity is not None], ("request",))
        lost = [errand.attempt for errand in errands if errand.account.pk not in held]
        if lost:
            fast.update(lost, ATTEMPT_ANSWERED)
        errands = [errand for errand in errands if errand.account.pk in held]
        if not errands:
            return
        ids = sorted(errand.order.pk for errand in errands)
        fresh = {o.pk: o for o in fast.select_ids(Order, ids, lock="update")}
        facts: list[Fact] = []
        over = {order.pk for order in fresh.values() if order.state.is_final}
        for errand in errands:
            order = fresh[errand.order.pk]
            order.busy = False
            order.setbacks = order.setbacks + 1 if errand.error is not None or _still_stands(errand) else 0
            if errand.attempt.action == AttemptAction.PLACE:
                _placed(order, errand, now)
            else:
                _changed(order, errand, now)
            facts.append(order_fact("order_answered", order, now))
        fast.write_together(
            fast.Update(list(fresh.values()), ORDER_ANSWERED),
            fast.Update([e.attempt for e in errands], ATTEMPT_ANSWERED),
            outbox.prepared(facts),
        )
        _after_refusals([order for order in fresh.values() if order.pk not in over], now)
        ring_on_commit(*_concerned(fresh.values()))
        free_on_commit(*_freed(fresh.values()))


def _concerned(orders: Collection[Order]) -> Iterator[str]:
    """Who has to look at these orders after their answers. What the venue has taken concerns nobody: its fill is a report. Each stage that
    is rung for nothing costs a transaction in the middle of a fan-out."""
    if any(order.state is OrderStatus.CREATED or _has_more_to_ask(order) for order in orders):
        yield "place"
    if any(_moves_protection(order) for order in orders):
        yield "protect"
    if any(order.state is OrderStatus.UNKNOWN for order in orders):
        yield "look_up"


def _freed(orders: Collection[Order]) -> Iterator[str]:
    """Who may go on with what it has put off until these orders were answered."""
    yield "place"
    if any(order.position_id for order in orders):
        yield "protect"
    if any(order.state.is_final for order in orders):
        yield "decide"


def _has_more_to_ask(order: Order) -> bool:
    return not order.state.is_final and (order.cancel_wanted or order.wanted_quantity is not None)


def _moves_protection(order: Order) -> bool:
    """Whether the position is looked at again (see `_after_refusals`)."""
    return order.position_id is not None and (order.state.is_final or order.leg == Leg.EXIT)


def _complete(errand: Errand) -> None:
    attempt, error, answer = errand.attempt, errand.error, errand.answer
    attempt.latency_ms, attempt.success = round(errand.latency_ms, 3), error is None
    attempt.response_code = errand.status
    if errand.quantity is not None:
        # Less than its order's, which was known only when it was about to leave.
        attempt.request["quantity"] = plain(errand.quantity)
    if error is not None:
        attempt.error_type, attempt.error_message = error.code, plain_words(str(error))[:300]
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
        if errand.quantity is not None:
            take_quantity(order, errand.quantity, now)
        return
    error = errand.error
    assert error is not None
    reason = f"{error.code}: {plain_words(str(error))}"
    if error.next is Next.RETRY and order.state is OrderStatus.SENDING:
        # The venue did not look at it: it may go again, later, and an entry only until its deadline.
        move(order, OrderStatus.CREATED, now, reason)
        order.not_before = now + _pause(order, error)
    elif error.next is Next.FINAL and not errand.opened and order.state is OrderStatus.SENDING:
        if order.leg == Leg.ENTRY or order.setbacks > WITHOUT_KEY:
            move(order, OrderStatus.DENIED, now, str(error))
        else:
            # Tried in one breath, all that protects and closes would be used up before a key that is on its way is here.
            move(order, OrderStatus.CREATED, now, str(error))
            order.not_before = now + min(_pause(order), WAITS_FOR_KEY)
    elif error.next is Next.FINAL:
        move_if_allowed(order, OrderStatus.REJECTED, now, reason)
    else:
        move_if_allowed(order, OrderStatus.UNKNOWN, now, reason)


def _changed(order: Order, errand: Errand, now: datetime) -> None:
    """After a cancel or an amendment. One that came too late leaves the order in doubt until it has been looked up."""
    if isinstance(errand.answer, OrderReport):
        if errand.attempt.action == AttemptAction.CANCEL:
            _cancelled(order, errand.answer, now)
        else:
            _amended(order, errand.order, errand.answer, now)
    elif isinstance(errand.error, OrderNotOpen) and order.state is OrderStatus.UNKNOWN and order.cancel_wanted:
        order.not_before = now + _pause(order)  # it may be on its way there still: asked again until looks have told
    elif isinstance(errand.error, OrderNotOpen):
        order.cancel_wanted, order.wanted_quantity, order.wanted_trigger = False, None, None
        move_if_allowed(order, OrderStatus.UNKNOWN, now, str(errand.error))
    elif errand.error is not None:
        order.not_before = now + _pause(order, errand.error)
        order.reason = f"{errand.error.code}: {plain_words(str(errand.error))}"[:200]
        if errand.error.next is Next.FINAL and errand.attempt.action == AttemptAction.AMEND:
            # The venue will not amend it: withdraw it, and protection is written anew. An entry stays as it is, and says so.
            order.wanted_quantity, order.wanted_trigger, order.cancel_wanted = None, None, order.leg != Leg.ENTRY


def _cancelled(order: Order, said: OrderReport, now: datetime) -> None:
    """After a cancel that was answered: the order is gone where the venue itself shows it as over, and all that it filled has been heard.

    Anything else leaves it in doubt: of what the venue has filled reports tell, and of what still stands the cancel is asked for again.
    """
    if order.state.is_final:
        return
    reason = said.reason or "cancelled on request"
    if said.status in _OVER and said.filled <= order.filled and move_if_allowed(order, said.status, now, reason):
        return
    order.cancel_wanted = said.status.is_open
    if said.status.is_open:
        order.not_before = now + _pause(order)
    move_if_allowed(
        order, OrderStatus.UNKNOWN, now, f"its cancel was answered: {said.status.value}, {plain(said.filled)} filled"
    )


def _amended(order: Order, asked: Order, said: OrderReport, now: datetime) -> None:
    """After an amendment that was answered; what is over by then is in doubt until it has been looked up."""
    if said.status in _OVER:
        move_if_allowed(order, OrderStatus.UNKNOWN, now, "it was over before it could be amended")
        return
    order.quantity = said.quantity
    order.trigger = asked.wanted_trigger or order.trigger
    if (order.wanted_quantity, order.wanted_trigger) == (asked.wanted_quantity, asked.wanted_trigger):
        order.wanted_quantity = order.wanted_trigger = None
    if order.filled >= order.quantity:
        move_if_allowed(order, OrderStatus.FILLED, now)


def _still_stands(errand: Errand) -> bool:
    """Whether a cancel was taken, and the order is open all the same."""
    is_cancel, said = errand.attempt.action == AttemptAction.CANCEL, errand.answer
    return is_cancel and isinstance(said, OrderReport) and said.status.is_open


def _pause(order: Order, error: VenueError | None = None) -> timedelta:
    """How long to leave a venue alone that did not take a request: as long as it said, or longer with every attempt: a minute at most, 8
    seconds for what closes or protects a position."""
    said = error.after if isinstance(error, Busy) else None
    longest = LONGEST_PAUSE if order.leg == Leg.ENTRY or said is not None else LONGEST_TO_LEAVE
    return timedelta(seconds=min(2 ** min(order.setbacks, 6) if said is None else said, longest))


def _after_refusals(orders: Sequence[Order], now: datetime) -> None:
    """A refused entry gives its money back; a position whose stop, target or exit was refused or cancelled is looked at again."""
    final = [order for order in orders if order.state.is_final]
    release_reservations([order for order in final if order.leg == Leg.ENTRY])
    # An exit that the venue has taken and not filled at once is looked at too: it may linger.
    stop_tries.look_after([order for order in orders if _moves_protection(order)], now)
