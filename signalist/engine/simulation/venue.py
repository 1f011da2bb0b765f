"""A venue that stands before the paper venue and misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from signalist.domain.orders import Leg, OrderStatus
from signalist.engine.simulation.faults import CAPABILITIES, Fault
from signalist.engine.simulation.traffic import Traffic, Underway, leg_of
from signalist.venues.base import Ack, Balance, NetPosition, OpenOrder, OrderReport, OrderRequest, Reports, Session
from signalist.venues.errors import Busy, DuplicateOrder, NoAnswer, NotOpened, NotSent, Refused, SessionLost
from signalist.venues.paper.venue import PAPER

T = TypeVar("T")
DAWDLES = (40, 240)
"""Steps of the event loop: many more than from one look of the engine to the next."""


class MisbehavingVenue(Traffic):
    """The paper venue in bad weather."""

    code = PAPER
    capabilities = CAPABILITIES

    def open(self, account_ref: str) -> Session:
        if self.is_shut(account_ref):
            self.disturbed[account_ref] = self.clock.now()
            if (account_ref, self.engines) not in self._shut_out:
                self._shut_out.add((account_ref, self.engines))
                self.played(Fault.SHUT, "open", account_ref, f"by engine {self.engines}")
            raise NotOpened("There is no key for this account yet.")
        return MisbehavingSession(self, self.paper(account_ref), account_ref)


class MisbehavingSession:
    """One account in bad weather."""

    def __init__(self, venue: Traffic, session: Session, ref: str) -> None:
        self._venue, self._session, self._ref = venue, session, ref

    async def place(self, request: OrderRequest) -> Ack:
        venue, key = self._venue, request.client_order_id
        await venue.about_to_place(self._ref, request)
        fault, nth = venue.fault("place", self._ref, key)
        if fault is Fault.OVERDUE and not Leg(leg_of(request)).protects:
            fault = Fault.LOST
        if fault is not None:
            venue.played(fault, "place", self._ref, key)
        if fault in (Fault.NOT_SENT, Fault.BUSY):
            venue.may_go_again(key)
            raise NotSent("The connection is not there.") if fault is Fault.NOT_SENT else Busy("Too many requests.")
        if fault is Fault.REFUSED:
            raise Refused("The venue does not want this order.")
        if fault is Fault.ENDED:
            return await self._ended(request, nth)
        ack = await self._carry_out(fault, key, nth, lambda session: session.place(request), request)
        if fault is Fault.TWICE:
            await self._session.place(request)
            raise DuplicateOrder("There already is such an order.")
        return ack

    async def cancel(self, client_order_id: str) -> OrderReport:
        self._venue.about_to_cancel(client_order_id)
        return await self._change("cancel", client_order_id, lambda session: session.cancel(client_order_id))

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        return await self._change(
            "amend", client_order_id, lambda session: session.amend(client_order_id, quantity, trigger)
        )

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        venue = self._venue
        fault, _ = venue.fault("look_up", self._ref, client_order_id)
        if fault is Fault.HIDDEN and not venue.may_hide(client_order_id):
            fault = None
        if fault is not None:
            venue.played(fault, "look_up", self._ref, client_order_id)
        if fault in (Fault.LOST, Fault.SILENT):
            raise NoAnswer("The connection was cut.")
        found = venue.over.get(client_order_id) or await self._session.look_up(client_order_id)
        found = None if found is None else venue.as_lapsed(found)
        if found is not None and fault is Fault.HIDDEN:
            found = None
        venue.looked(client_order_id, found is not None)
        return found

    async def reports(self, after: str) -> Reports:
        venue, ref = self._venue, self._ref
        fault, nth = venue.fault("reports", ref, ref)
        said, known = await self._session.reports(after), venue.balances.get(ref)
        quiet = not said.orders and not said.fills
        if (fault is Fault.STALE and (quiet or known is None)) or (fault is Fault.SHUFFLED and len(said.orders) < 2):
            fault = None
        if fault is not None:
            venue.played(fault, "reports", ref, ref)
        if fault in (Fault.LOST, Fault.SILENT):
            raise NoAnswer("The connection was cut.")
        if fault is Fault.SHUT:
            venue.shuts(ref, nth)
            raise SessionLost("The session was ended.")
        if fault is Fault.STALE and known is not None:
            return Reports((), (), known, after)
        if fault is Fault.SHUFFLED:
            said = _shuffled(said)
        if fault is Fault.REPEATED:
            said = _repeated(said, await self._session.reports(""), venue.weather.dice.whole(1, 6, "again", ref, nth))
        venue.balances[ref] = said.balance
        return replace(said, orders=said.orders + venue.tell(ref))

    async def balance(self) -> Balance:
        return await self._session.balance()

    async def positions(self) -> tuple[NetPosition, ...]:
        return await self._session.positions()

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        return await self._session.open_orders()

    async def take_down(self, venue_order_id: str) -> None:
        await self._session.take_down(venue_order_id)

    def listen(self, wake: Callable[[], None]) -> None:
        self._session.listen(wake)
        self._venue.listen(self._ref, wake)

    async def close(self) -> None:
        await self._session.close()

    # --- Within ----------------------------------------------------------------------------------

    async def _change(
        self, method: str, key: str, carry_out: Callable[[Session], Awaitable[OrderReport]]
    ) -> OrderReport:
        venue = self._venue
        fault, nth = venue.fault(method, self._ref, key)
        request = venue.requests.get(key)
        if fault is Fault.PENDING:
            stands = await self._session.look_up(key)
            if stands is not None and stands.status.is_open:
                venue.played(fault, method, self._ref, key)
                due = venue.clock.now() + venue.weather.delay(key, nth)
                venue.late(Underway(due, self._ref, key, nth, carry_out))
                return stands
            fault = None
        if fault is Fault.RACE and (request is None or request.trigger is None):
            fault = None
        if fault is not None:
            venue.played(fault, method, self._ref, key)
        if fault is Fault.BUSY:
            raise Busy("Too many requests.")
        if fault is Fault.REFUSED:
            raise Refused("The venue does not change orders now.")
        if fault is Fault.RACE and request is not None and request.trigger is not None:
            await venue.tick(request.symbol, request.trigger)
        return await self._carry_out(fault, key, nth, carry_out)

    async def _ended(self, request: OrderRequest, nth: int) -> Ack:
        """The venue takes an order and ends it at once; its sender hears of that before or after the answer, or hears no answer."""
        venue, key, leg = self._venue, request.client_order_id, leg_of(request)
        ways = [OrderStatus.REJECTED, OrderStatus.CANCELLED, *([OrderStatus.EXPIRED] * 4 if leg == Leg.ENTRY else [])]
        status = venue.weather.dice.pick(ways, "ended", key, nth)
        name, now = f"ended-{key[:24]}", venue.clock.now()
        report = OrderReport(key, name, status, request.quantity, Decimal(0), "ended by the venue", now)
        venue.over[key] = report
        venue.ends(self._ref, report)
        said = venue.weather.dice.whole(0, 2, "ended and said", key, nth)
        if said == 0:
            raise NoAnswer("The connection was cut.")
        if said == 1:
            await self._dawdle(key, nth)
        return Ack(key, name)

    async def _dawdle(self, key: str, nth: int) -> None:
        """Let others go on for so long that they hear of it before the answer."""
        for _ in range(self._venue.weather.dice.whole(*DAWDLES, "dawdles", key, nth)):
            await asyncio.sleep(0)

    async def _carry_out(
        self,
        fault: Fault | None,
        key: str,
        nth: int,
        carry_out: Callable[[Session], Awaitable[T]],
        request: OrderRequest | None = None,
    ) -> T:
        """Carry a request out, now, later or never; raise NoAnswer where its sender hears nothing."""
        venue = self._venue
        if fault is Fault.SLOW:
            for _ in range(venue.weather.dice.whole(1, 8, "slow", key, nth)):
                await asyncio.sleep(0)
        if fault is Fault.SILENT and request is not None and venue.weather.dice.chance(0.5, "sent", key, nth):
            venue.may_go_again(key)
            raise NotSent("The venue does not answer.", silent=True)
        if fault in (Fault.LATE, Fault.OVERDUE):
            takes = venue.weather.delay(key, nth) if fault is Fault.LATE else venue.weather.overdue(key)
            venue.late(Underway(venue.clock.now() + takes, self._ref, key, nth, carry_out, request))
        if fault in (Fault.LOST, Fault.SILENT, Fault.LATE, Fault.OVERDUE):
            raise NoAnswer("The connection was cut.")
        answer = await carry_out(self._session)
        if fault is Fault.OVERTAKEN:
            await self._dawdle(key, nth)
        if fault is Fault.ANSWER_LOST:
            raise NoAnswer("502 Bad Gateway")
        return answer


def _shuffled(said: Reports) -> Reports:
    """The same reports in another order; what was filled in one symbol stays in its order, which the protocol promises."""
    symbols = sorted({fill.symbol for fill in said.fills}, reverse=True)
    fills = tuple(fill for symbol in symbols for fill in said.fills if fill.symbol == symbol)
    return replace(said, orders=said.orders[::-1], fills=fills)


def _repeated(said: Reports, ever: Reports, count: int) -> Reports:
    """The reports after the last `count` fills and orders that were told before, of the orders what was true of them then."""
    news = {fill.venue_fill_id for fill in said.fills}, {order.client_order_id for order in said.orders}
    again = tuple(fill for fill in ever.fills if fill.venue_fill_id not in news[0])[-count:]
    known = [order for order in ever.orders if order.client_order_id not in news[1]][-count:]
    before = tuple(replace(order, status=OrderStatus.WORKING, filled=Decimal(0)) for order in known)
    return replace(said, fills=again + said.fills + said.fills, orders=before + said.orders)
