"""A venue that stands before the paper venue and misbehaves; it watches, too, that nothing is asked of it that must never be asked."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from signalist.clock import Clock
from signalist.domain.orders import Leg, OrderStatus
from signalist.engine.simulation.faults import CAPABILITIES, Fault, Weather
from signalist.engine.simulation.watching import Trace
from signalist.venues.base import Ack, Balance, NetPosition, OpenOrder, OrderReport, OrderRequest, Reports, Session
from signalist.venues.errors import Busy, DuplicateOrder, NoAnswer, NotSent, Refused, VenueError
from signalist.venues.paper.exchange import PaperExchange
from signalist.venues.paper.venue import PAPER, PaperVenue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Underway:
    """A request that its sender has given up on and that arrives all the same."""

    due: datetime
    ref: str
    key: str
    nth: int
    carry_out: Callable[[Session], Awaitable[object]]
    request: OrderRequest | None = None


class MisbehavingVenue:
    """The paper venue in bad weather. It outlives the engines: what is on its way arrives whoever sent it."""

    code = PAPER
    capabilities = CAPABILITIES

    def __init__(self, weather: Weather, clock: Clock, trace: Trace, tick: Callable[[str, Decimal], Awaitable[None]]):
        self.weather, self.clock, self.trace, self.tick = weather, clock, trace, tick
        self.faults: Counter[Fault] = Counter()
        self.violations: list[str] = []
        self.disturbed: dict[str, datetime] = {}
        self.requests: dict[str, OrderRequest] = {}
        self.balances: dict[str, Balance] = {}
        self.announced: dict[str, list[OrderReport]] = defaultdict(list)
        self._told: dict[str, list[OrderReport]] = defaultdict(list)
        self._unheard: set[str] = set()
        """What has arrived after all and no engine has been told of yet: nobody can withdraw it."""
        self._asked: Counter[tuple[str, str]] = Counter()
        self._missed: Counter[str] = Counter()
        self._found: set[str] = set()
        self._sent: dict[str, bool] = {}
        self._cancelled: set[str] = set()
        self._under_way: list[Underway] = []
        self._listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._paper: PaperVenue | None = None

    def stand_before(self, exchange: PaperExchange) -> None:
        """From now on requests go to this exchange; who listened to the one before is gone, and with it what it had only just heard.

        Who connects anew is told what rests of the orders that turned up late, as a stream's first message does.
        """
        self._paper = PaperVenue(exchange, CAPABILITIES)
        self._listeners.clear()
        resting = {order.client_order_id for order in exchange.store.resting()}
        for ref, reports in self._told.items():
            self.announced[ref] += [said for said in reports if said.client_order_id in resting]

    def open(self, account_ref: str) -> Session:
        return MisbehavingSession(self, self.paper(account_ref), account_ref)

    def paper(self, ref: str) -> Session:
        """The paper venue's own session of an account, without any fault."""
        assert self._paper is not None, "The venue does not stand yet."
        return self._paper.open(ref)

    # --- Faults ----------------------------------------------------------------------------------

    def fault(self, method: str, ref: str, key: str) -> tuple[Fault | None, int]:
        """What goes wrong with this request, and how many of its kind came before it."""
        nth = self._asked[method, key]
        self._asked[method, key] += 1
        return self.weather.fault(method, ref, key, nth, self.clock.now()), nth

    def played(self, fault: Fault, method: str, ref: str, key: str) -> None:
        """A fault was played on this request."""
        self.faults[fault] += 1
        self.disturbed[ref] = self.clock.now()
        self.trace.say(f"{fault}: {method} {self.name(key)} of {ref}")

    def name(self, key: str) -> str:
        """What an order is, for people: its leg and the beginning of its id."""
        request = self.requests.get(key)
        return key if request is None else f"{_leg(request)} {key[:8]}"

    def may_hide(self, key: str) -> bool:
        """Whether the order may go unfound once more: at the last look that is declared it is found, and then it is known."""
        return key not in self._found and self._missed[key] < self.capabilities.looks - 1

    def looked(self, key: str, found: bool) -> None:
        """A look was answered."""
        self._missed[key] += not found
        if found:
            self._found.add(key)
            self._unheard.discard(key)

    def tell(self, ref: str) -> tuple[OrderReport, ...]:
        """What the account's reports say besides: it is heard from now on."""
        told = self.announced.pop(ref, [])
        self._unheard -= {said.client_order_id for said in told}
        return tuple(told)

    def late(self, request: Underway) -> None:
        """This arrives later."""
        self._under_way.append(request)

    async def tide(self) -> None:
        """Let everything arrive that is due, and say so in the account's next reports, as a stream would."""
        now = self.clock.now()
        due = sorted((u for u in self._under_way if u.due <= now), key=lambda u: (u.due, u.ref, u.key, u.nth))
        self._under_way = [u for u in self._under_way if u.due > now]
        for one in due:
            try:
                await one.carry_out(self.paper(one.ref))
            except VenueError as error:
                self.trace.say(f"arrives: {self.name(one.key)} of {one.ref}: {error.code}")
                continue
            self.trace.say(f"arrives: {self.name(one.key)} of {one.ref}")
            if one.request is not None:
                found = await self.paper(one.ref).look_up(one.key)
                told = [found] if found is not None and found.status.is_open else []
                self.announced[one.ref] += told
                self._unheard |= {said.client_order_id for said in told}
                self._told[one.ref] += told
            for wake in self._listeners[one.ref]:
                wake()

    # --- What must never be asked ----------------------------------------------------------------

    async def about_to_place(self, ref: str, request: OrderRequest) -> None:
        """A placing is sent once, unless the venue did not look at it; an exit goes when its protection has been taken down."""
        key = request.client_order_id
        if not self._sent.get(key, True):
            self.violations.append(f"a placing was repeated: {_leg(request)} {request.tag}")
        self.requests[key], self._sent[key] = request, False
        if _leg(request) != Leg.EXIT:
            return
        assert self._paper is not None
        for order in await self._paper.exchange.read(self._paper.exchange.store.resting):
            protects = order.ref == ref and order.symbol == request.symbol and order.reduce_only
            known = order.client_order_id not in self._cancelled | self._unheard
            if protects and order.trigger is not None and known:
                what = order.tag.rpartition(":")[2]
                self.violations.append(f"an exit was sent over a {what} that nobody had withdrawn: {request.tag}")

    def about_to_cancel(self, key: str) -> None:
        """A cancel of this order was asked for."""
        self._cancelled.add(key)

    def may_go_again(self, key: str) -> None:
        """The venue did not look at this placing."""
        self._sent[key] = True

    def listen(self, ref: str, wake: Callable[[], None]) -> None:
        """Wake also when something late arrives."""
        self._listeners[ref].append(wake)


class MisbehavingSession:
    """One account in bad weather."""

    def __init__(self, venue: MisbehavingVenue, session: Session, ref: str) -> None:
        self._venue, self._session, self._ref = venue, session, ref

    async def place(self, request: OrderRequest) -> Ack:
        venue, key = self._venue, request.client_order_id
        await venue.about_to_place(self._ref, request)
        fault, nth = venue.fault("place", self._ref, key)
        if fault is Fault.OVERDUE and not Leg(_leg(request)).protects:
            fault = Fault.LOST
        if fault is not None:
            venue.played(fault, "place", self._ref, key)
        if fault in (Fault.NOT_SENT, Fault.BUSY):
            venue.may_go_again(key)
            raise NotSent("The connection is not there.") if fault is Fault.NOT_SENT else Busy("Too many requests.")
        if fault is Fault.REFUSED:
            raise Refused("The venue does not want this order.")
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
        found = await self._session.look_up(client_order_id)
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
        if fault is Fault.ANSWER_LOST:
            raise NoAnswer("502 Bad Gateway")
        return answer


def _leg(request: OrderRequest) -> str:
    return request.tag.rpartition(":")[2]


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
