"""The loopback venue on a bench: its server on a port of this machine, under the test's own loop, and a market that the test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.clock import ReplayClock
from signalist.domain.instruments import InstrumentKind
from signalist.domain.matching import Bar, slipped
from signalist.domain.orders import Side
from signalist.venues.base import Capabilities, Session
from signalist.venues.loopback.client import Client
from signalist.venues.loopback.server import Server
from signalist.venues.loopback.venue import CAPABILITIES, LOOPBACK, LoopbackVenue
from signalist.venues.paper.matching_desk import Terms
from tests.venues import paper_bench

D = Decimal
PERPETUAL = replace(paper_bench.PERPETUAL, venue=LOOPBACK)
SPOT = replace(PERPETUAL, symbol="ABC-USD", kind=InstrumentKind.SPOT, max_leverage=D(1))
TOKEN = "control"


def secret_of(ref: str) -> bytes:
    return f"secret of {ref}".encode()


class LoopbackBench:
    """See `tests.venues.battery.Bench`."""

    perpetual, spot = PERPETUAL, SPOT

    def __init__(self, server: Server, address: str, clock: ReplayClock, capabilities: Capabilities) -> None:
        self.server, self.address, self.clock = server, address, clock
        self.terms = server.house.terms
        self.taker_fee, self.maker_fee = self.terms.taker_fee, self.terms.maker_fee
        self.client = Client(self.address, self.clock, size=20)
        self.venue = LoopbackVenue(self.client, secret_of, capabilities)
        self.others: list[LoopbackVenue] = []
        self._opened = 0
        for spec in (PERPETUAL, SPOT):
            server.house.specs[spec.symbol] = spec
            server.house.prices[spec.symbol] = D(1000)

    def another(self) -> LoopbackVenue:
        """Another process's way to the same venue; its clock is ahead, for nonces are its microseconds."""
        return LoopbackVenue(Client(self.address, ReplayClock(self.now() + timedelta(hours=1)), size=20), secret_of)

    def taken_at(self, price: Decimal, side: Side) -> Decimal:
        return slipped(price, side, self.terms.slippage, PERPETUAL.tick)

    def account(self, cash: Decimal = paper_bench.DEPOSIT) -> Session:
        self._opened += 1
        ref = f"account-{self._opened}"
        self.server.house.open_account(ref, secret_of(ref), "USD", cash)
        return self.venue.open(ref)

    def now(self) -> datetime:
        return self.clock.now()

    async def moves_to(self, price: str | int) -> None:
        self._minute_later()
        for symbol in self.server.house.specs:
            self.server.house.prices[symbol] = D(price)
            self.server.house.move(symbol, Bar.tick(D(price)))

    async def bar(self, opened: int, high: int, low: int) -> None:
        self._minute_later()
        for symbol in self.server.house.specs:
            self.server.house.move(symbol, Bar(D(opened), D(high), D(low)))

    def closes(self) -> None:
        self.server.house.prices.clear()

    # --- See `tests.venues.wire_battery.WireBench` -------------------------------------------------

    def elsewhere(self, secret: str | None = None) -> Session:
        clock = ReplayClock(self.now() + timedelta(hours=1))
        secrets = secret_of if secret is None else lambda _: secret.encode()
        self.others.append(LoopbackVenue(Client(self.address, clock, size=20), secrets))
        return self.others[-1].open(f"account-{self._opened}")

    def skew(self, seconds: float) -> None:
        self.server.clock.ahead = timedelta(seconds=seconds)

    def fault(self, kind: str, call: str = "place", times: int = 1) -> None:
        fault = {"kind": {"busy": "ban", "gap": "gaps"}.get(kind, kind), "times": times, "methods": [f"order/{call}"]}
        if kind == "busy":
            fault["seconds"] = 0.1
        elif kind in ("twice", "gap"):
            fault = {"kind": fault["kind"]}
        self.server.faults.add([f"account-{self._opened}"], fault)

    def heal(self) -> None:
        self.server.faults.clear()

    def maintains(self, on: bool) -> None:
        raise NotImplementedError("It has no maintenance.")

    def is_joined(self) -> bool:
        return bool(self.server.streams._of.get(f"account-{self._opened}"))

    async def cut(self) -> None:
        for stream in list(self.server.streams._streams.values()):
            stream.wire.cut()

    def placings(self) -> int:
        return self.server.counters.placings

    def _minute_later(self) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(minutes=1))
        # The venue's clock goes with ours: nobody has set one, as the client would think.
        self.client._epoch = self.client._since_epoch()


async def until(holds: Callable[[], bool], within: float = 5.0) -> None:
    """Wait for something that comes over the wire."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def served(
    terms: Terms = paper_bench.TERMS, latency: float = 0.0, capabilities: Capabilities = CAPABILITIES
) -> AsyncIterator[LoopbackBench]:
    """A server and the way to it."""
    clock = ReplayClock(paper_bench.BEGIN)
    server = Server(terms, latency, TOKEN, clock)
    listening = await server.listen(0)
    host, port = listening.sockets[0].getsockname()[:2]
    beating = asyncio.create_task(server.streams.beat())
    bench = LoopbackBench(server, f"http://{host}:{port}", clock, capabilities)
    try:
        yield bench
    finally:
        for venue in (bench.venue, *bench.others):
            await venue.close()
        beating.cancel()
        listening.close()
