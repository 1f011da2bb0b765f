"""Stage `place`: the network side of the order table. It never decides.

It takes three steps. Claim: what is to be sent is committed as SENDING with its attempt, right before the bytes leave. Call: all
requests at once, cancels and amendments, then exits, then protection, then entries, each bounded in time. Answers: written back
together. A placing is never repeated: what had no clear answer is UNKNOWN, and `reconcile` looks it up.
A replay does this in rounds (`place`); an engine keeps calls under way and writes what has come (`Placer`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.clock import Clock, monotonic
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import free_on_commit, ring_on_commit, wakes
from signalist.domain.money import ZERO, plain
from signalist.domain.orders import REFUSED, Leg, OrderStatus, OrderType, Side
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.execution import leases
from signalist.execution.claims import BATCH, Errand, Round, claim, order_fact, stopped_entries
from signalist.failpoints import failpoint
from signalist.logs import redact_text
from signalist.trading.models import AttemptAction, Order, Position
from signalist.trading.reservations import release_reservations
from signalist.trading.transitions import ORDER_ANSWERED, move, move_if_allowed, take_quantity
from signalist.venues.base import Ack, OrderReport, OrderRequest
from signalist.venues.errors import Busy, Next, NoAnswer, NotSent, OrderNotOpen, VenueError
from signalist.venues.transport.fence import NEVER, Fence, House, Tenure, fenced
from signalist.venues.transport.under_way import UnderWay

ATTEMPT_ANSWERED = ("response", "success", "error_type", "error_message", "latency_ms")
LONGEST_PAUSE = 60
MOST_UNDER_WAY = 1000
"""So many calls at once: what is claimed is in doubt if the process dies, so it is not claimed long before it can leave."""
MOST_ENTERING = 800
"""Of these, entries that are placed: however long they wait at a venue, what closes and protects finds room beside them."""
SOME = 50
"""At least so many are claimed where there is room for an entry, so that the last of thousands do not go one by one."""
WAITED = 0.5
"""Seconds until what has waited in vain for its turn at a venue is claimed anew."""

LOOK_AT_SWITCHES = timedelta(seconds=0.25)
"""Between two looks at the kill switches over entries that wait for their turn at a venue."""

InDatabase = Callable[[Callable[[], Any]], Awaitable[Any]]


async def place(sessions: Sessions, clock: Clock, engine: uuid.UUID, in_database: InDatabase) -> int:
    """One round: claim, wait for all answers, write them. Returns how many orders it moved."""
    work = Round()
    await in_database(lambda: claim(engine, clock.now(), work=work, abilities=sessions.capabilities))
    if work.errands:
        await asyncio.gather(*(_run(errand, sessions, None) for errand in work.errands))
        await in_database(lambda: write_answers(work.errands, clock.now(), engine))
        _rouse(work.errands, sessions)
    return len(work.errands) + len(work.dropped)


class Placer:
    """Keeps calls under way, at most `MOST_UNDER_WAY`. `news` is called when an answer is there to be written; `tenure` says up to
    which monotonic moment this engine may write to a venue."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        engine: uuid.UUID,
        in_database: InDatabase,
        *,
        news: Callable[[], None],
        tenure: Tenure,
    ) -> None:
        self._sessions, self._clock, self._engine, self._in_database = sessions, clock, engine, in_database
        self._tenure = tenure
        self.under_way: UnderWay[tuple[int, int], Errand] = UnderWay(news)
        self._claiming = False
        self._entering: dict[int, Order] = {}
        self._kept_back: set[int] = set()
        self._looked_at = clock.now()

    @property
    def orders(self) -> frozenset[int]:
        """The orders that are in its hands: calls under way, and answers that are not written yet.

        Raises RuntimeError while it claims: what it has just committed as being sent is not in its hands yet.
        """
        if self._claiming:
            raise RuntimeError("What is in an engine's hands is not known while it claims.")
        return frozenset(key for key, _ in self.under_way.in_hand())

    async def send(self) -> int:
        """Claim what there is room for and begin to call; returns how many orders were moved."""
        await self._keep_back()
        room = MOST_UNDER_WAY - len(self.under_way)
        if room <= 0:
            wakes.left("place", waits=True)  # `write` rings again
            return 0
        fence = self._tenure.fence()  # before the claim: between it and the call the engine may be frozen for long
        self._claiming, work = True, Round()
        enter = MOST_ENTERING - len(self._entering)
        try:
            most, abilities = min(room, BATCH, max(enter, SOME) if enter > 0 else BATCH), self._sessions.capabilities
            await self._in_database(
                lambda: claim(self._engine, self._clock.now(), most, work, abilities=abilities, enters=enter > 0)
            )
            for errand in work.errands:
                behind = self._guarded(errand, fence)
                self.under_way.ask((errand.order.pk, errand.attempt.number), _run(errand, self._sessions, behind))
        finally:
            self._claiming = False
        return len(work.errands) + len(work.dropped)

    async def write(self) -> int:
        """Write the answers that have come; returns how many."""
        with self.under_way.collected() as answers:
            errands = [errand for _, errand in answers]
            if errands:
                await self._in_database(lambda: write_answers(errands, self._clock.now(), self._engine))
                _rouse(errands, self._sessions)
        for errand in errands:
            self._entering.pop(errand.order.pk, None)
            self._kept_back.discard(errand.order.pk)
        return len(errands)

    def _guarded(self, errand: Errand, fence: Fence) -> Fence:
        """The fence of one errand: an entry that waits for its turn at the venue is kept back once a kill switch is thrown over it."""
        key = errand.order.pk
        if errand.attempt.action != AttemptAction.PLACE or errand.order.leg != Leg.ENTRY:
            return fence
        self._entering[key] = errand.order
        return lambda: NEVER if key in self._kept_back else fence()

    async def _keep_back(self) -> None:
        """Look at the kill switches over the entries that are under way, now and then."""
        now = self._clock.now()
        if not self._entering or now - self._looked_at < LOOK_AT_SWITCHES:
            return
        self._looked_at, entries = now, list(self._entering.values())
        self._kept_back |= await self._in_database(lambda: stopped_entries(entries))


# --- Call ----------------------------------------------------------------------------------------


async def _run(errand: Errand, sessions: Sessions, fence: Fence | None) -> Errand:
    """Run one errand. Whatever is not a clear answer is NoAnswer; behind its fence nothing leaves the house."""
    begun, house = monotonic(), House()
    try:
        within = sessions.capabilities(errand.account.venue).answer_within
        failpoint("place.call")
        with fenced(fence) as house:
            async with asyncio.timeout(within):
                errand.answer = await _called(errand, sessions)
        failpoint("place.called")
    except VenueError as error:
        errand.error = error
        sessions.doubt(errand.account, error)
        if error.next is Next.RECONNECT:
            sessions.drop(errand.account)
    except TimeoutError:
        # What waited for its turn all the time is not in doubt: of thousands that leave together, many wait longer than an answer may take.
        in_doubt = NoAnswer("The venue did not answer in time.")
        errand.error = in_doubt if house.may_have_left else NotSent("Its turn did not come in time.", after=WAITED)
    except Exception as error:  # noqa: BLE001 an adapter that breaks stops nobody else; its order is in doubt
        errand.error = NoAnswer(f"{type(error).__name__} while talking to the venue")
    errand.latency_ms = (monotonic() - begun) * 1000
    return errand


async def _called(errand: Errand, sessions: Sessions) -> Ack | OrderReport:
    order, session = errand.order, sessions.of(errand.account)
    errand.opened = True
    name = sessions.capabilities(errand.account.venue).named(order.client_order_id, order.venue_order_id)
    if errand.attempt.action == AttemptAction.CANCEL:
        return await session.cancel(name)
    if errand.attempt.action == AttemptAction.AMEND:
        assert order.wanted_quantity is not None
        return await session.amend(name, order.wanted_quantity, order.wanted_trigger)
    quantity = order.quantity
    if order.leg == Leg.EXIT and order.n > 0:
        # An exit before it may have arrived all the same: no more is closed than the venue holds, or it would open the reverse.
        there = sum((p.quantity for p in await session.positions() if p.symbol == order.instrument.symbol), ZERO)
        quantity = errand.quantity = min(quantity, -there * Side(order.side).sign)
        if quantity <= 0:
            raise NotSent("The venue holds nothing that a repeated exit could close.")
    return await session.place(
        OrderRequest(
            client_order_id=order.client_order_id,
            symbol=order.instrument.symbol,
            side=Side(order.side),
            type=OrderType(order.type),
            quantity=quantity,
            price=order.price,
            trigger=None if order.is_triggered else order.trigger,
            reduce_only=order.reduce_only,
            leverage=order.leverage,
            tag=order.tag,
            expires_at=order.deadline,
        )
    )


def _rouse(errands: Sequence[Errand], sessions: Sessions) -> None:
    """Where orders have no name of ours, what was reported of these before their answers may have waited for them."""
    for errand in errands:
        if errand.order.nameless and errand.attempt.action == AttemptAction.PLACE:
            sessions.rouse(errand.account)


# --- Answers -------------------------------------------------------------------------------------


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
        lost = [errand.attempt for errand in errands if errand.account.pk not in held]
        if lost:
            fast.update(lost, ATTEMPT_ANSWERED)
        errands = [errand for errand in errands if errand.account.pk in held]
        if not errands:
            return
        ids = sorted(errand.order.pk for errand in errands)
        fresh = {o.pk: o for o in fast.select_ids(Order, ids, lock="update")}
        facts: list[Fact] = []
        for errand in errands:
            order = fresh[errand.order.pk]
            order.busy = False
            order.setbacks = 0 if errand.error is None else order.setbacks + 1
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
        _after_refusals(list(fresh.values()))
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
    if error is not None:
        attempt.error_type, attempt.error_message = error.code, redact_text(str(error))[:300]
    elif isinstance(answer, OrderReport):
        attempt.response = {
            "venue_order_id": answer.venue_order_id,
            "status": answer.status.value,
            "filled": plain(answer.filled),
        }
    elif answer is not None:
        attempt.response = {"venue_order_id": answer.venue_order_id}
        if errand.quantity is not None:
            attempt.response["quantity"] = plain(errand.quantity)


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
    reason = f"{error.code}: {redact_text(str(error))}"
    if error.next is Next.RETRY and order.state is OrderStatus.SENDING:
        # The venue did not look at it: it may go again, later, and an entry only until its deadline.
        move(order, OrderStatus.CREATED, now, reason)
        order.not_before = now + _pause(order, error)
    elif error.next is Next.FINAL and not errand.opened and order.state is OrderStatus.SENDING:
        move(order, OrderStatus.DENIED, now, str(error))
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
        order.trigger = asked.wanted_trigger or order.trigger
        if (order.wanted_quantity, order.wanted_trigger) == (asked.wanted_quantity, asked.wanted_trigger):
            order.wanted_quantity = order.wanted_trigger = None
        if order.filled >= order.quantity:
            move_if_allowed(order, OrderStatus.FILLED, now)
    elif isinstance(errand.error, OrderNotOpen):
        order.cancel_wanted, order.wanted_quantity, order.wanted_trigger = False, None, None
        move_if_allowed(order, OrderStatus.UNKNOWN, now, str(errand.error))
    elif errand.error is not None:
        order.not_before = now + _pause(order, errand.error)
        order.reason = f"{errand.error.code}: {redact_text(str(errand.error))}"[:200]
        if errand.error.next is Next.FINAL and errand.attempt.action == AttemptAction.AMEND:
            # The venue will not amend it: withdraw it, and protection is written anew. An entry stays as it is, and says so.
            order.wanted_quantity, order.wanted_trigger, order.cancel_wanted = None, None, order.leg != Leg.ENTRY


def _pause(order: Order, error: VenueError) -> timedelta:
    """How long to leave a venue alone that did not take a request: as long as it said, or longer with every attempt, a minute at most."""
    said = error.after if isinstance(error, Busy) else None
    return timedelta(seconds=min(2 ** min(order.setbacks, 6) if said is None else said, LONGEST_PAUSE))


def _after_refusals(orders: Sequence[Order]) -> None:
    """A refused entry gives its money back; a position whose stop, target or exit was refused or cancelled is looked at again."""
    final = [order for order in orders if order.state.is_final]
    release_reservations([order for order in final if order.leg == Leg.ENTRY])
    # An exit that the venue has taken and not filled at once is looked at too: it may linger.
    ids = {order.position_id for order in orders if _moves_protection(order)}
    if not ids:
        return
    refused = {o.position_id for o in final if o.leg == Leg.STOP and o.state in REFUSED}
    positions = fast.select_ids(Position, sorted(ids), lock="update")
    for position in positions:
        position.protection_due = True
        position.refused_stops += position.pk in refused
    fast.update(positions, ("protection_due", "refused_stops"))
