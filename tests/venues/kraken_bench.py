"""Kraken on a bench: its server on a port of this machine, under the test's own loop, and a market that the test moves."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from signalist.clock import Clock, ReplayClock
from signalist.domain.instruments import InstrumentKind
from signalist.domain.matching import Bar, slipped
from signalist.domain.orders import Side
from signalist.venues.base import Session
from signalist.venues.kraken.account import Key
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.kraken.parse import KRAKEN
from signalist.venues.kraken.protocol import Tier
from signalist.venues.kraken.trading_socket import METHODS
from signalist.venues.kraken.venue import CAPABILITIES, KrakenVenue
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.transport.budgets import Budget
from signalist.venues.transport.ledger import RateLedger
from signalist.venues.transport.nonces import Nonces
from signalist.venues.transport.sockets import LinkTerms
from signalist.venues.transport.supplies import Supplies
from tests.venues import paper_bench
from tests.venues.kraken_server.server import Server, serving

D = Decimal
SPOT = replace(
    paper_bench.SPOT,
    venue=KRAKEN,
    symbol="ABC/USD",
    kind=InstrumentKind.SPOT,
    tick=D("0.1"),
    lot=D("0.001"),
    max_leverage=D(1),
)
PAIR: dict[str, Any] = {
    "altname": "ABCUSD",
    "wsname": "ABC/USD",
    "aclass_base": "currency",
    "base": "XABC",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "lot_decimals": 3,
    "lot_multiplier": 1,
    "ordermin": "0.005",
    "costmin": "5",
    "tick_size": "0.1",
    "status": "online",
    "fees": [[0, 0.1]],
    "fees_maker": [[0, 0.05]],
}
BITCOIN = PAIR | {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "base": "XXBT",
    "lot_decimals": 8,
    "ordermin": "0.0001",
    "costmin": "0.5",
}
LISTED = {
    "XABCZUSD": PAIR,
    "XXBTZUSD": BITCOIN,
    "XBTEUR": BITCOIN | {"altname": "XBTEUR", "wsname": "XBT/EUR", "quote": "ZEUR"},
}
ROOMY = Tier("bench", Budget(1e6, 1e6), Budget(1e6, 1e6), 1000)
QUICK = LinkTerms(pace=0.02, silence=1.0, patience=0.3, settled=0.3, answer_within=1.0)


B = TypeVar("B", bound="KrakenBench")


class OnRecord:
    """What nonces are put on record in: it outlives the processes that use it."""

    def __init__(self) -> None:
        self.reserved: dict[str, int] = {}

    async def reserve(self, wanted: Mapping[str, int], block: int) -> Mapping[str, int]:
        firsts = {name: max(first, self.reserved.get(name, 0)) for name, first in wanted.items()}
        self.reserved.update({name: first + block for name, first in firsts.items()})
        return firsts


def secret_of(ref: str) -> str:
    """An account's secret, as people are shown it."""
    return base64.b64encode(f"secret of {ref}".encode()).decode()


class KrakenBench:
    """See `tests.venues.battery.Bench`; what it calls the perpetual is the spot market here."""

    perpetual, spot = SPOT, SPOT
    make: Callable[..., KrakenVenue] = KrakenVenue
    abilities = CAPABILITIES
    over_stream = False
    """Whether orders go over the stream, too, where a session listens."""

    def __init__(self, server: Server, address: str, clock: ReplayClock, terms: Terms, tier: Tier) -> None:
        self.server, self.address, self.clock, self.terms, self.tier = server, address, clock, terms, tier
        self.taker_fee, self.maker_fee = terms.taker_fee, terms.maker_fee
        self.record = OnRecord()
        self.others: list[KrakenVenue] = []
        self.venue = self.another()
        self._opened = 0

    @property
    def stream_at(self) -> str:
        return self.address.replace("http", "ws") + "/v2"

    def client(self, clock: Clock | None = None) -> Client:
        """A process's way to the venue."""
        wall = clock or self.clock
        nonces = Nonces(self.record.reserve, lambda: wall.now().timestamp())
        supplies = Supplies(nonces.of, RateLedger(), ("kraken", "here"))
        return Client(wall, supplies=supplies, base=self.address, tier=self.tier, size=20, public=Budget(1e6, 1e6))

    def another(self, secret: str | None = None) -> KrakenVenue:
        """Another process's way to the same venue."""
        return type(self).make(
            self.client(),
            lambda ref: Key(ref, secret or secret_of(ref)),
            stream_at=self.stream_at,
            terms=QUICK,
            capabilities=self.abilities,
            over_stream=self.over_stream,
        )

    def market(self) -> KrakenMarket:
        """The public side."""
        return KrakenMarket(self.client(), self.stream_at, QUICK)

    def taken_at(self, price: Decimal, side: Side) -> Decimal:
        return slipped(price, side, self.terms.slippage, SPOT.tick)

    def account(self, cash: Decimal = paper_bench.DEPOSIT) -> Session:
        self._opened += 1
        ref = f"account-{self._opened}"
        self.server.house.open_account(ref, f"secret of {ref}".encode(), cash)
        return self.venue.open(ref)

    def now(self) -> datetime:
        return self.clock.now()

    async def moves_to(self, price: str | int) -> None:
        self._minute_later()
        self.server.move(SPOT.symbol, Bar.tick(D(price)), D(price))

    async def bar(self, opened: int, high: int, low: int) -> None:
        self._minute_later()
        self.server.move(SPOT.symbol, Bar(D(opened), D(high), D(low)))

    def closes(self) -> None:
        self.server.house.prices.clear()

    # --- See `tests.venues.wire_battery.WireBench` -------------------------------------------------

    def elsewhere(self, secret: str | None = None) -> Session:
        self.others.append(self.another(secret))
        return self.others[-1].open(f"account-{self._opened}")

    def skew(self, seconds: float) -> None:
        self.server.ahead = seconds

    def fault(self, kind: str, call: str = "place", times: int = 1) -> None:
        method = {"place": "AddOrder", "cancel": "CancelOrder"}[call]
        if kind == "busy":
            self.server.faults.add("error", method, times=times, text="EAPI:Rate limit exceeded")
        elif kind in ("twice", "gap"):
            self.server.faults.add(kind, "executions", times=times)
        else:
            self.server.faults.add({"error_after": "520"}.get(kind, kind), method, times=times)

    def heal(self) -> None:
        self.server.faults.clear()

    def maintains(self, on: bool) -> None:
        self.server.streams.system("maintenance" if on else "online")

    def is_joined(self) -> bool:
        wanted = self.server.house.holders[f"account-{self._opened}"]
        return any(one.holder is wanted and "executions" in one.numbers for one in self.server.streams.all)

    async def cut(self) -> None:
        await self.server.streams.drop()

    def placings(self) -> int:
        return self.server.asked.count("AddOrder") + self.server.asked.count("add_order")

    def check(self) -> None:
        """Nothing has gone a way that is not this bench's."""
        assert not METHODS & set(self.server.asked)

    def _minute_later(self) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(minutes=1))


@asynccontextmanager
async def served(terms: Terms = paper_bench.TERMS, tier: Tier = ROOMY, make: type[B] = KrakenBench) -> AsyncIterator[B]:
    """A server and the way to it."""
    clock = ReplayClock(paper_bench.BEGIN)
    server = Server(LISTED, terms, tier, clock.now)
    async with serving(server) as address:
        bench = make(server, address, clock, terms, tier)
        server.house.prices[SPOT.symbol] = D(1000)
        server.market.traded(SPOT.symbol, D(1000))
        try:
            yield bench
        finally:
            for venue in (bench.venue, *bench.others):
                await venue.close()
