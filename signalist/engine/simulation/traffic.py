"""What is under way between engines and a misbehaving venue; it watches, too, that nothing is asked that must never be asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from signalist.clock import Clock
from signalist.domain.orders import Leg, OrderStatus
from signalist.engine.simulation.faults import CAPABILITIES, Fault, Weather
from signalist.engine.simulation.watching import Trace
from signalist.trading.models import Order
from signalist.venues.base import Balance, OrderReport, OrderRequest, Session
from signalist.venues.errors import VenueError
from signalist.venues.paper.exchange import PaperExchange
from signalist.venues.paper.venue import PaperVenue

TOLD = 3
"""So often the reports tell what the venue has ended of its own accord, or once more to a new engine."""


@dataclass(frozen=True, slots=True)
class Underway:
    """A request that its sender has given up on and that arrives all the same."""

    due: datetime
    ref: str
    key: str
    nth: int
    carry_out: Callable[[Session], Awaitable[object]]
    request: OrderRequest | None = None


class Traffic:
    """Between engines and the paper venue. It outlives the engines: what is on its way arrives whoever sent it."""

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
        self.over: dict[str, OrderReport] = {}
        """Orders that the venue has taken and ended unfilled: the paper venue never saw them."""
        self._lapsed: set[str] = set()
        self._telling: dict[str, dict[str, tuple[OrderReport, int]]] = defaultdict(dict)
        self.engines = 0
        self._shut_until: dict[str, datetime] = {}
        self._shut_out: set[tuple[str, int]] = set()
        self._stands_since = clock.now()
        self._listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._paper: PaperVenue | None = None

    def stand_before(self, exchange: PaperExchange) -> None:
        """From now on requests go to this exchange; who listened to the one before is gone, and with it what it had only just heard.

        Who connects anew is told what rests of the orders that turned up late, as a stream's first message does.
        """
        self._paper = PaperVenue(exchange, CAPABILITIES)
        self._listeners.clear()
        self.engines, self._stands_since = self.engines + 1, self.clock.now()
        for told in self._telling.values():
            told |= {key: (report, TOLD) for key, (report, _) in told.items()}
        resting = {order.client_order_id for order in exchange.store.resting()}
        for ref, reports in self._told.items():
            self.announced[ref] += [said for said in reports if said.client_order_id in resting]

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
        return key if request is None else f"{leg_of(request)} {key[:8]}"

    def may_hide(self, key: str) -> bool:
        """Whether the order may go unfound once more: at the last look that is declared it is found, and then it is known."""
        return key not in self._found and self._missed[key] < CAPABILITIES.looks - 1

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
        again = [report for report, times in self._telling[ref].values() if times]
        self._telling[ref] = {key: (report, max(times - 1, 0)) for key, (report, times) in self._telling[ref].items()}
        return (*told, *again)

    def ends(self, ref: str, report: OrderReport) -> None:
        """The venue ends an order of its own accord, and says so in the account's next reports, as often as it takes to be heard."""
        self._telling[ref][report.client_order_id] = report, TOLD
        for wake in self._listeners[ref]:
            wake()

    def as_lapsed(self, found: OrderReport) -> OrderReport:
        """The order as the venue sees it: lapsed where it has been."""
        return replace(found, status=OrderStatus.EXPIRED) if found.client_order_id in self._lapsed else found

    def is_shut(self, ref: str) -> bool:
        """Whether the engine that runs now cannot open this account yet."""
        begun = self._stands_since + self.weather.shut(ref, self.engines)
        return not self.weather.fair and self.clock.now() < self._shut_until.get(ref, begun)

    def shuts(self, ref: str, nth: int) -> None:
        """The session of whoever has the account open is over, and it cannot be opened for a while."""
        self._shut_until[ref] = self.clock.now() + self.weather.shut_for(ref, "report", nth)

    def late(self, request: Underway) -> None:
        """This arrives later."""
        self._under_way.append(request)

    async def tide(self) -> None:
        """Let everything arrive that is due, and say so in the account's next reports, as a stream would; and what is old lapses."""
        await self._lapse()
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

    async def _lapse(self) -> None:
        assert self._paper is not None
        for order in await self._paper.exchange.read(self._paper.exchange.store.resting):
            key = order.client_order_id
            if order.tag.endswith(Leg.ENTRY) and order.filled and self.weather.lapses(key):
                report = await self.paper(order.ref).cancel(key)
                self._lapsed.add(key)
                self.played(Fault.LAPSED, "place", order.ref, key)
                self.ends(order.ref, replace(report, status=OrderStatus.EXPIRED, reason="its time was over"))

    # --- What must never be asked ----------------------------------------------------------------

    async def about_to_place(self, ref: str, request: OrderRequest) -> None:
        """A placing is sent once, unless the venue did not look at it; an exit goes when its protection has been taken down."""
        key = request.client_order_id
        if not self._sent.get(key, True):
            self.violations.append(f"a placing was repeated: {leg_of(request)} {request.tag}")
        self.requests[key], self._sent[key] = request, False
        if leg_of(request) != Leg.EXIT:
            return
        assert self._paper is not None
        for order in await self._paper.exchange.read(self._paper.exchange.store.resting):
            protects = order.ref == ref and order.symbol == request.symbol and order.reduce_only
            known = order.client_order_id not in self._cancelled | self._unheard
            if protects and order.trigger is not None and known and not await self._is_given_up(order.client_order_id):
                what = order.tag.rpartition(":")[2]
                self.violations.append(f"an exit was sent over a {what} that nobody had withdrawn: {request.tag}")

    async def _is_given_up(self, key: str) -> bool:
        """Whether our books hold that the order never arrived: that it did was told to an engine which died before it wrote that down."""
        assert self._paper is not None
        rows = Order.objects.filter(client_order_id=key, status=OrderStatus.REJECTED.value)
        return await self._paper.exchange.read(rows.exists)

    def about_to_cancel(self, key: str) -> None:
        """A cancel of this order was asked for."""
        self._cancelled.add(key)

    def may_go_again(self, key: str) -> None:
        """The venue did not look at this placing."""
        self._sent[key] = True

    def listen(self, ref: str, wake: Callable[[], None]) -> None:
        """Wake also when something late arrives."""
        self._listeners[ref].append(wake)


def leg_of(request: OrderRequest) -> str:
    """The leg that its tag names."""
    return request.tag.rpartition(":")[2]
