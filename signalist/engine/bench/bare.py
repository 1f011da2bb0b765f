"""A bare aiohttp client that only sends the same signed requests: what a fan-out costs without a product around it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from signalist.clock import Clock, monotonic
from signalist.domain.orders import OrderType, Side, client_order_id
from signalist.engine.bench.cast import PRICE, SYMBOL
from signalist.engine.bench.house import secret_of
from signalist.venues.base import OrderRequest
from signalist.venues.loopback import parse
from signalist.venues.loopback.client import Numbers, Signer, signed, written
from signalist.venues.loopback.protocol import PLACE, TIME

SIZE = 1000


class BareClient:
    """The client; its connections stay warm between runs."""

    def __init__(self, address: str, clock: Clock) -> None:
        self._address, self._numbers = address, Numbers(clock)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=SIZE, keepalive_timeout=600), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def warm(self) -> None:
        """Open all connections."""

        async def one() -> None:
            async with self._session.get(self._address + TIME) as response:
                await response.read()

        await asyncio.gather(*(one() for _ in range(SIZE)))

    async def run(self, refs: Sequence[str], legs: int, run: int) -> float:
        """For each account an entry, and when it is answered its stop, then its target. Returns seconds until the last answer."""
        begun = monotonic()
        await asyncio.gather(*(self._follower(ref, legs, run) for ref in refs))
        return monotonic() - begun

    async def close(self) -> None:
        await self._session.close()

    async def _follower(self, ref: str, legs: int, run: int) -> None:
        signer = Signer(ref, secret_of(ref))
        for leg in range(legs):
            body = written(parse.said_of(_request(ref, leg, run)))
            headers = signed(signer, self._numbers.take(ref), PLACE, body)
            async with self._session.post(self._address + PLACE, data=body, headers=headers) as response:
                said = await response.json()
                if response.status != 200:
                    raise RuntimeError(f"The venue refused the bare client: {said}")
                parse.ack(said)


def _request(ref: str, leg: int, run: int) -> OrderRequest:
    kind = (OrderType.MARKET, OrderType.STOP, OrderType.TAKE_PROFIT)[leg]
    trigger = (None, PRICE * 98 / 100, PRICE * 104 / 100)[leg]
    return OrderRequest(
        client_order_id=client_order_id(f"{ref}:{run}:{leg}"),
        symbol=SYMBOL,
        side=Side.SELL if leg else Side.BUY,
        type=kind,
        quantity=PRICE / PRICE,
        price=None,
        trigger=trigger,
        reduce_only=bool(leg),
        leverage=PRICE / PRICE * 5,
        tag=f"{ref}:{run}:{leg}",
    )
