"""Kraken on a bench where orders go over its private stream and no other way: sessions listen, and wait for the stream with each order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from signalist.venues.kraken.desk import Desk
from signalist.venues.kraken.protocol import ORDERS
from signalist.venues.kraken.session import KrakenSession
from signalist.venues.kraken.venue import CAPABILITIES, KrakenVenue
from signalist.venues.transport.sockets import Link
from tests.venues.kraken_bench import KrakenBench
from tests.venues.loopback_bench import until

ANSWERS = replace(CAPABILITIES, answer_within=1.5)
METHODS = {"place": "add_order", "cancel": "cancel_order"}


class JoinedSession(KrakenSession):
    """One that asks for nothing that trades before its stream is joined."""

    async def joined(self) -> None:
        """Wait for the stream, unless the venue refuses the key."""
        if not self._wakes:
            self.listen(lambda: None)
        await until(lambda: self._desk.trading.is_open() or self._desk.state is Link.FAILED)

    async def _order(self, *args: Any, **kwargs: Any) -> Any:
        await self.joined()
        return await super()._order(*args, **kwargs)


class JoinedVenue(KrakenVenue):
    """Opens such sessions."""

    def open(self, account_ref: str) -> JoinedSession:
        session = super().open(account_ref)
        assert isinstance(session, KrakenSession)
        return JoinedSession(session._desk, self.capabilities.answer_within)


class SocketBench(KrakenBench):
    """See the module. Faults happen to the stream's requests."""

    make: Callable[..., KrakenVenue] = JoinedVenue
    abilities = ANSWERS
    over_stream = True

    def fault(self, kind: str, call: str = "place", times: int = 1) -> None:
        if kind in ("twice", "gap"):
            super().fault(kind, call, times)
        elif kind == "busy":
            self.server.faults.add("error", METHODS[call], times=times, text="EOrder:Rate limit exceeded")
        else:
            self.server.faults.add({"error_after": "unanswered"}.get(kind, kind), METHODS[call], times=times)

    async def moves_to(self, price: str | int) -> None:
        await super().moves_to(price)
        await until(self._all_is_heard)

    async def bar(self, opened: int, high: int, low: int) -> None:
        await super().bar(opened, high, low)
        await until(self._all_is_heard)

    async def cut(self) -> None:
        """All streams end, and who trades has noticed it: what is written before that is in doubt."""
        await super().cut()
        await until(lambda: not any(desk.trading.is_open() for desk in self._desks().values()))

    def _desks(self) -> dict[str, Desk]:
        """By key, the desks of our processes."""
        return {desk.signer.key: desk for venue in (self.venue, *self.others) for desk in venue._desks.values()}

    def _all_is_heard(self) -> bool:
        """Whether the streams have told all that has happened, and it was heard."""
        desks = self._desks()
        told = {one.holder.key: one.numbers for one in self.server.streams.all if one.holder is not None}
        return all(
            key not in desks or (desks[key]._sequence or 0) >= numbers.get("executions", 0)
            for key, numbers in told.items()
        )

    def check(self) -> None:
        """No order has gone the other way."""
        assert not ORDERS & set(self.server.carried_out)


class PatientBench(SocketBench):
    """The same, with as much time for answers as Kraken is given."""

    abilities = CAPABILITIES
