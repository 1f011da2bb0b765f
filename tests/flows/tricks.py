"""A venue that behaves like the paper venue, but for the tricks that a test has it play; it remembers what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from signalist.venues.base import (
    Ack,
    Balance,
    Capabilities,
    FillReport,
    NetPosition,
    OpenOrder,
    OrderReport,
    OrderRequest,
    PastOrder,
    Reports,
    Session,
    TellsHistory,
)
from signalist.venues.errors import NoAnswer, VenueError
from signalist.venues.paper.exchange import PaperExchange
from signalist.venues.paper.venue import PAPER, PaperVenue

T = TypeVar("T")
Play = Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request that reached the venue's door. `leg` is what the order is for, also of a cancel or an amendment."""

    method: str
    ref: str
    leg: str
    order_id: str = ""


@dataclass(slots=True)
class Trick:
    """What happens instead, `times` times, to requests of `method` for `leg` and account `ref`; None is any."""

    play: Play[object]
    method: str
    leg: str | None = None
    ref: str | None = None
    times: int = 1

    def applies(self, call: Call) -> bool:
        return (
            self.times > 0
            and self.method == call.method
            and self.leg in (None, call.leg)
            and self.ref in (None, call.ref)
        )


class TrickedVenue:
    """The paper venue behind tricks."""

    code = PAPER

    def __init__(self, exchange: PaperExchange, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.calls: list[Call] = []
        self.invented: dict[str, list[FillReport]] = {}
        self.announced: dict[str, list[OrderReport]] = {}
        self.insisted: dict[str, list[FillReport]] = {}
        self.twice = False
        self.shut: dict[str, VenueError] = {}
        """Accounts (ref) that cannot be opened, and why."""
        self._venue = PaperVenue(exchange, capabilities)
        self._legs: dict[str, str] = {}
        self._tricks: list[Trick] = []

    def open(self, account_ref: str) -> Session:
        if account_ref in self.shut:
            raise self.shut[account_ref]
        return TrickedSession(self, self._venue.open(account_ref), account_ref)

    # --- What tests arrange ----------------------------------------------------------------------

    def refuses(self, error: VenueError, method: str = "place", **which: object) -> None:
        """The request is answered with `error` and not carried out."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            raise error

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    def says(
        self, answer: object, method: str, first: Callable[[], Awaitable[object]] | None = None, **which: object
    ) -> None:
        """The request is answered with this, after something has happened `first`, and not carried out."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            if first is not None:
                await first()
            return answer

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    def alters(self, change: Callable[[T], T], method: str, **which: object) -> None:
        """The request is carried out, and something else than its answer is told."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            return change(await carry_out())  # type: ignore[arg-type]

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    def loses_the_request(self, method: str = "place", **which: object) -> None:
        """The request never arrives, and nobody answers."""
        self.refuses(NoAnswer("The connection was cut."), method, **which)

    def loses_the_answer(self, method: str = "place", **which: object) -> None:
        """The request is carried out, and the answer is lost."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            await carry_out()
            raise NoAnswer("The connection was cut.")

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    def hangs(self, method: str = "place", **which: object) -> None:
        """The request is carried out, and the answer never comes."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            await carry_out()
            await asyncio.sleep(60)
            raise AssertionError("nobody waits that long")

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    def breaks(self, method: str = "place", **which: object) -> None:
        """The adapter itself breaks."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            raise ZeroDivisionError

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    def hides_history(self, times: int = 1) -> None:
        """The venue tells no order in its history."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            return ()

        self._tricks.append(Trick(play, "history", times=times))

    def lists_late(self, until: Callable[[], bool]) -> None:
        """No look finds an order, and no report tells of it, before that is true."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            return await carry_out() if until() else None

        async def say_nothing(carry_out: Callable[[], Awaitable[object]]) -> object:
            if until():
                return await carry_out()
            raise NoAnswer("Nothing is told yet.")

        self._tricks += [Trick(play, "look_up", times=99), Trick(say_nothing, "reports", times=99)]

    def before(self, what: Callable[[], Awaitable[object]], method: str, **which: object) -> None:
        """Something happens at the venue right before the request is carried out."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            await what()
            return await carry_out()

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    def after(self, what: Callable[[], Awaitable[object]], method: str, **which: object) -> None:
        """Something happens after the request was carried out and before its answer comes."""

        async def play(carry_out: Callable[[], Awaitable[object]]) -> object:
            answer = await carry_out()
            await what()
            return answer

        self._tricks.append(Trick(play, method, **which))  # type: ignore[arg-type]

    # --- What the engine sees --------------------------------------------------------------------

    async def ask(self, call: Call, carry_out: Callable[[], Awaitable[T]]) -> T:
        """Carry out a request, or play the trick that waits for it."""
        self.calls.append(call)
        for trick in self._tricks:
            if trick.applies(call):
                trick.times -= 1
                return await trick.play(carry_out)  # type: ignore[return-value]
        return await carry_out()

    def leg(self, order_id: str) -> str:
        """What the order of this id was placed for."""
        return self._legs.get(order_id, "")

    def remember(self, request: OrderRequest, order_id: str = "") -> None:
        """An order of ours is on its way, or there under the venue's own id."""
        self._legs[order_id or request.client_order_id] = request.tag.rpartition(":")[2]

    def asked(self, *methods: str) -> list[tuple[str, str]]:
        """(method, leg) of what was asked, in order."""
        return [(call.method, call.leg) for call in self.calls if call.method in methods]


class TrickedSession:
    """A session behind tricks."""

    def __init__(self, venue: TrickedVenue, session: Session, ref: str) -> None:
        self._venue, self._session, self._ref = venue, session, ref

    async def place(self, request: OrderRequest) -> Ack:
        self._venue.remember(request)
        return await self._ask("place", request.client_order_id, lambda: self._place(request))

    async def _place(self, request: OrderRequest) -> Ack:
        ack = await self._session.place(request)
        self._venue.remember(request, ack.venue_order_id)
        return ack

    async def history(self, symbol: str, since: datetime) -> tuple[PastOrder, ...]:
        """Of a venue that knows no ids of ours."""
        session = self._session
        assert isinstance(session, TellsHistory)
        return await self._ask("history", "", lambda: session.history(symbol, since))

    async def cancel(self, client_order_id: str) -> OrderReport:
        return await self._ask("cancel", client_order_id, lambda: self._session.cancel(client_order_id))

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        return await self._ask(
            "amend", client_order_id, lambda: self._session.amend(client_order_id, quantity, trigger)
        )

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        return await self._ask("look_up", client_order_id, lambda: self._session.look_up(client_order_id))

    async def reports(self, after: str) -> Reports:
        said = await self._ask("reports", "", lambda: self._session.reports(after))
        fills = said.fills * 2 if self._venue.twice else said.fills
        return replace(
            said,
            fills=fills
            + tuple(self._venue.invented.pop(self._ref, ()))
            + tuple(self._venue.insisted.get(self._ref, ())),
            orders=said.orders + tuple(self._venue.announced.pop(self._ref, ())),
        )

    async def balance(self) -> Balance:
        return await self._session.balance()

    async def positions(self) -> tuple[NetPosition, ...]:
        return await self._ask("positions", "", self._session.positions)

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        return await self._ask("open_orders", "", self._session.open_orders)

    async def take_down(self, venue_order_id: str) -> None:
        await self._ask("take_down", "", lambda: self._session.take_down(venue_order_id))

    def listen(self, wake: Callable[[], None]) -> None:
        self._session.listen(wake)

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, method: str, order_id: str, carry_out: Callable[[], Awaitable[T]]) -> T:
        return await self._venue.ask(Call(method, self._ref, self._venue.leg(order_id), order_id), carry_out)
