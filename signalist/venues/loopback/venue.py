"""The loopback venue behind the protocol that every venue speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from signalist.clock import monotonic
from signalist.domain.orders import OrderType
from signalist.venues.base import (
    Ack,
    Balance,
    Capabilities,
    NetPosition,
    OpenOrder,
    OrderReport,
    OrderRequest,
    PastOrder,
    Reports,
    Session,
)
from signalist.venues.errors import CannotKnow
from signalist.venues.facts import KeyRights
from signalist.venues.loopback import parse, protocol
from signalist.venues.loopback.client import Client, Signer
from signalist.venues.loopback.listening import Listening
from signalist.venues.paper.book import OWN
from signalist.venues.transport.budgets import Priority

LOOPBACK = "loopback"
CAPABILITIES = Capabilities(
    order_types=frozenset(OrderType),
    order_identity="client_id",
    amend=True,
    nets=True,
    reduce_only=True,
    looks=3,
    look_interval=0.5,
    answer_within=10.0,
)


class LoopbackVenue:
    """Opens accounts of a loopback venue. `secret_of` tells an account's secret. With `order_identity` "none" in its capabilities our ids
    are kept from us, as venues do that know none."""

    code = LOOPBACK

    def __init__(
        self, client: Client, secret_of: Callable[[str], bytes], capabilities: Capabilities = CAPABILITIES
    ) -> None:
        self.client, self.capabilities = client, capabilities
        self._secret_of = secret_of
        self._listening = Listening(client)

    def open(self, account_ref: str) -> Session:
        kind = LoopbackSession if self.capabilities.order_identity == "client_id" else NamelessLoopbackSession
        return kind(self, self._listening, Signer(account_ref, self._secret_of(account_ref)))

    async def close(self) -> None:
        """Close the stream and all connections."""
        await self._listening.close()
        await self.client.close()


class LoopbackSession:
    """One account at the loopback venue."""

    def __init__(self, venue: LoopbackVenue, listening: Listening, signer: Signer) -> None:
        self._client, self._within = venue.client, venue.capabilities.answer_within
        self._listening, self._signer = listening, signer
        self._box = listening.box(signer.ref)
        self._wakes: list[Callable[[], None]] = []

    async def place(self, request: OrderRequest) -> Ack:
        said = parse.said_of(request)
        deadline = None
        if request.expires_at is not None:
            said["expires_at"] = self._client.venue_time(request.expires_at).isoformat()
            deadline = monotonic() + (request.expires_at - self._client.clock.now()).total_seconds()
        priority = Priority.PROTECTION if request.reduce_only else Priority.ENTRY
        if request.type is OrderType.MARKET:
            self._box.awaits(monotonic())  # also where the answer is lost: then all the more
        answer = await self._client.ask(
            self._signer, protocol.PLACE, said, priority=priority, within=self._within, deadline=deadline
        )
        return parse.ack(answer)

    async def cancel(self, client_order_id: str) -> OrderReport:
        said = self._name(client_order_id)
        answer = await self._client.ask(
            self._signer, protocol.CANCEL, said, priority=Priority.PROTECTION, within=self._within
        )
        return parse.order(answer)

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        said = self._name(client_order_id) | {"quantity": format(quantity, "f")}
        if trigger is not None:
            said["trigger"] = format(trigger, "f")
        answer = await self._client.ask(
            self._signer, protocol.AMEND, said, priority=Priority.PROTECTION, within=self._within
        )
        return parse.order(answer)

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        said = self._name(client_order_id)
        answer = await self._client.ask(self._signer, protocol.LOOK_UP, said, within=self._within)
        return None if answer is None else parse.order(answer)

    async def reports(self, after: str) -> Reports:
        """What the stream has told already, where it has told all; else what the venue says when it is asked."""
        told = self._box.after(after, monotonic())
        if told is not None:
            return told
        said = await self._client.ask(self._signer, protocol.REPORTS, {"after": after}, within=self._within)
        answer = parse.reports(said["rows"], parse.balance(said["balance"]), said["cursor"])
        self._box.read(answer, monotonic())
        return answer

    async def balance(self) -> Balance:
        return parse.balance(await self._client.ask(self._signer, protocol.BALANCE, {}, within=self._within))

    async def positions(self) -> tuple[NetPosition, ...]:
        return parse.positions(await self._client.ask(self._signer, protocol.POSITIONS, {}, within=self._within))

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        return parse.open_orders(await self._client.ask(self._signer, protocol.OPEN_ORDERS, {}, within=self._within))

    async def rights(self) -> KeyRights:
        said = await self._client.ask(self._signer, protocol.RIGHTS, {}, within=self._within)
        return parse.rights(said)

    async def take_down(self, venue_order_id: str) -> None:
        said = {"venue_id": venue_order_id}
        await self._client.ask(
            self._signer, protocol.TAKE_DOWN, said, priority=Priority.PROTECTION, within=self._within
        )

    def listen(self, wake: Callable[[], None]) -> None:
        self._listening.join(self._signer, wake)
        self._wakes.append(wake)

    def returns(self, say: Callable[[], None]) -> None:
        self._listening.returns(self._signer.ref, say)

    async def close(self) -> None:
        while self._wakes:
            self._listening.leave(self._signer.ref, self._wakes.pop())

    @staticmethod
    def _name(order_id: str) -> dict[str, str]:
        """How an order is asked for."""
        return {"id": order_id}


class NamelessLoopbackSession(LoopbackSession):
    """The same account at a venue that knows orders under its own ids only."""

    async def place(self, request: OrderRequest) -> Ack:
        return replace(await super().place(request), client_order_id="")

    async def cancel(self, client_order_id: str) -> OrderReport:
        return replace(await super().cancel(client_order_id), client_order_id="")

    async def amend(self, client_order_id: str, quantity: Decimal, trigger: Decimal | None = None) -> OrderReport:
        return replace(await super().amend(client_order_id, quantity, trigger), client_order_id="")

    async def look_up(self, client_order_id: str) -> OrderReport | None:
        if not client_order_id.startswith(OWN):
            raise CannotKnow("The venue knows orders under its own ids only.")
        found = await super().look_up(client_order_id)
        return None if found is None else replace(found, client_order_id="")

    async def reports(self, after: str) -> Reports:
        said = await super().reports(after)
        return replace(
            said,
            orders=tuple(replace(report, client_order_id="") for report in said.orders),
            fills=tuple(replace(fill, client_order_id="") for fill in said.fills),
        )

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        return tuple(replace(order, client_order_id="") for order in await super().open_orders())

    async def history(self, symbol: str, since: datetime) -> tuple[PastOrder, ...]:
        said = {"symbol": symbol, "since": self._client.venue_time(since).isoformat()}
        told = parse.past_orders(await self._client.ask(self._signer, protocol.HISTORY, said, within=self._within))
        return tuple(replace(past, time=self._client.our_time(past.time)) for past in told)

    @staticmethod
    def _name(order_id: str) -> dict[str, str]:
        return {"venue_id": order_id}
