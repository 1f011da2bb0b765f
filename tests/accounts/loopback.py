"""A loopback venue on a thread of the test's own process, for what asks a venue from elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from signalist.clock import SystemClock
from signalist.venues.loopback.server import Server
from signalist.venues.paper.matching_desk import Terms


@dataclass(frozen=True)
class Loopback:
    """The venue; `server` is touched while nobody asks it."""

    server: Server
    address: str

    def account(self, ref: str, secret: str, cash: str = "5000") -> None:
        """Open an account there."""
        self.server.house.open_account(ref, secret.encode(), "USD", Decimal(cash))

    def rights(self, ref: str, *rights: str) -> None:
        """What its key may do from now on."""
        self.server.house.holders[ref].rights = rights

    def secret(self, ref: str, secret: str) -> None:
        """The account has another secret from now on."""
        self.server.house.holders[ref].secret = secret.encode()


@contextmanager
def loopback() -> Iterator[Loopback]:
    """Serves while the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> tuple[Server, asyncio.Server]:
        server = Server(Terms(), 0.0, "control", SystemClock())
        return server, await server.listen(0)

    server, listening = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield Loopback(server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
