"""Stage `place`: the network side of the order table. It never decides.

It takes three steps. Claim: what is to be sent is committed as SENDING with its attempt, right before the bytes leave. Call: all
requests at once, in the order of `precedence`, each bounded in time. Answers: written back together (`answered`). A placing is never
repeated: what had no clear answer is UNKNOWN, and `reconcile` looks it up.
A replay does this in rounds (`place`); an engine keeps calls under way and writes what has come (`Placer`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from signalist.accounts.sessions import Sessions
from signalist.clock import Clock, monotonic
from signalist.db.wakes import wakes
from signalist.domain.money import ZERO
from signalist.domain.orders import Leg, OrderType, Side
from signalist.execution.answered import write_answers
from signalist.execution.claims import BATCH, Errand, Round, claim, stopped_entries
from signalist.execution.full_venues import NONE_FULL, Full
from signalist.execution.held_exits import NOTHING_THERE
from signalist.execution.precedence import ALL, NO_ENTRIES, PRESSING, Patience
from signalist.failpoints import failpoint
from signalist.trading.models import AttemptAction, Order
from signalist.venues.base import Ack, OrderReport, OrderRequest, Session
from signalist.venues.errors import Next, NoAnswer, NotSent, VenueError
from signalist.venues.transport.fence import NEVER, Fence, House, Tenure, fenced
from signalist.venues.transport.hurry import hurried
from signalist.venues.transport.under_way import UnderWay

MOST_UNDER_WAY = 1000
"""So many calls at once: what is claimed is in doubt if the process dies, so it is not claimed long before it can leave."""
MOST_ENTERING = 800
"""Of these, entries that are placed: however long they wait at a venue, what closes and protects finds room beside them."""
OF_ONE = 0.6
"""The share of either that one venue may have where several are served: while it hangs, what is for the others leaves."""
SOME = 50
"""At least so many are claimed where there is room, for an entry or in a venue's share: the last of thousands do not go one by one."""
WAITED = 0.5
"""Seconds until what has waited in vain for its turn at a venue is claimed anew."""

LOOK_AT_SWITCHES = 0.25
"""Seconds between two looks at the kill switches over entries that wait for their turn at a venue."""

AGAIN = 2.0
"""Seconds until a venue that did not say what it holds is asked again."""

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
        self._looked_at, self._news = float("-inf"), news
        self._looks_again: asyncio.TimerHandle | None = None
        self._at: Counter[str] = Counter()
        self._patience = Patience()

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
        if monotonic() > fence():
            # Nothing may leave before the next heartbeat: what was claimed would come back with a setback.
            wakes.left("place", waits=True)
            return 0
        self._claiming, work = True, Round()
        enter, (full, share) = MOST_ENTERING - len(self._entering), self._shares()
        theirs = self._patience.is_over
        some = NO_ENTRIES if theirs else ALL if enter > 0 else PRESSING
        try:
            most = min(room, BATCH, max(enter, SOME) if some == ALL else BATCH, share)
            abilities = self._sessions.capabilities
            await self._in_database(
                lambda: claim(
                    self._engine,
                    self._clock.now(),
                    most,
                    work,
                    abilities=abilities,
                    some=some,
                    full=full,
                )
            )
            self._patience.claimed(theirs=theirs, all_of_it=work.is_all)
            if theirs and enter > 0:
                wakes.ring("place")
            for errand in work.errands:
                self._at[errand.account.venue] += 1
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
            self._at[errand.account.venue] -= 1
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

    def _shares(self) -> tuple[Full, int]:
        """The venues that have had their share for now, and how many more any other may have at once: a little beyond its share rather
        than one by one."""
        if not self._sessions.serves_several():
            return NONE_FULL, MOST_UNDER_WAY
        found, left = [], MOST_UNDER_WAY
        entering = Counter(order.instrument.venue for order in self._entering.values())
        for counts, most in ((self._at, int(MOST_UNDER_WAY * OF_ONE)), (entering, int(MOST_ENTERING * OF_ONE))):
            found.append(frozenset(venue for venue, count in counts.items() if count >= most))
            left = min(left, most - max((count for count in counts.values() if count < most), default=0))
        return Full(*found), max(left, SOME)

    async def _keep_back(self) -> None:
        """Look at the kill switches over the entries that are under way, now and then; a look that comes too soon is not left out, it
        comes a moment later."""
        if not self._entering:
            return
        left = LOOK_AT_SWITCHES - (monotonic() - self._looked_at)
        if left > 0:
            if self._looks_again is None:
                self._looks_again = asyncio.get_running_loop().call_later(left, self._look_again)
            return
        self._looked_at, entries = monotonic(), list(self._entering.values())
        self._kept_back |= await self._in_database(lambda: stopped_entries(entries))

    def _look_again(self) -> None:
        self._looks_again = None
        wakes.ring("place")
        self._news()


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
    errand.latency_ms, errand.status = (monotonic() - begun) * 1000, house.status
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
    if errand.beside is not None:
        quantity = errand.quantity = await _bounded(errand, sessions, session)
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


async def _bounded(errand: Errand, sessions: Sessions, session: Session) -> Decimal:
    """How much may be closed where something before it may have closed the position, or may do so yet: no more than the venue holds of
    ours, or it would open the reverse, or take what is the user's own. Where the venue does not say it waits, but for one that is the
    first, or that the venue lets open nothing where nothing lies beside it."""
    order, abilities = errand.order, sessions.capabilities(errand.account.venue)
    wanted: Decimal = order.quantity
    try:
        with hurried():
            async with asyncio.timeout(abilities.answer_within / 2):
                failpoint("place.look")
                found = await session.positions()
                failpoint("place.looked")
    except (VenueError, TimeoutError) as error:
        if order.n == 0 or (abilities.reduce_only and not errand.beside):
            return wanted
        raise NotSent("The venue does not say what it holds, so an exit is not repeated.", after=AGAIN) from error
    there = sum((position.quantity for position in found if position.symbol == order.instrument.symbol), ZERO)
    ours = there - (errand.beside or ZERO)
    quantity: Decimal = min(wanted, -ours * Side(order.side).sign, max(-there * Side(order.side).sign, ZERO))
    if quantity <= 0:
        raise NotSent(NOTHING_THERE)
    return quantity


def _rouse(errands: Sequence[Errand], sessions: Sessions) -> None:
    """Where orders have no name of ours, what was reported of these before their answers may have waited for them. And where an answer
    speaks of fills that nobody has heard of, its account's reports tell them."""
    for errand in errands:
        nameless = errand.order.nameless and errand.attempt.action == AttemptAction.PLACE
        if nameless or (isinstance(errand.answer, OrderReport) and errand.answer.filled > errand.order.filled):
            sessions.rouse(errand.account)
