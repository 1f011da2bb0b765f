"""The loopback venue's process, as a benchmark starts it, and its control endpoint."""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from signalist.domain.instruments import RULES
from signalist.markets.models import Instrument

AT_ONCE = 2000


class HouseError(RuntimeError):
    """The venue's process did not start, or does not understand us."""


def secret_of(ref: str) -> bytes:
    """The secret of an account of the benchmark: play money on this machine, so it may be known."""
    return hmac.digest(b"bench", ref.encode(), "sha256").hex().encode()


class VenueProcess:
    """The venue in a process of its own, which ends with ours."""

    def __init__(self, latency_ms: float) -> None:
        self._latency_ms = latency_ms
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._token = self.address = ""

    async def start(self) -> None:
        """Start it. Raises HouseError."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "signalist.venues.loopback.server", "--latency-ms", str(self._latency_ms)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        try:
            said = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 20))
        except (TimeoutError, ValueError):
            await self.stop()
            raise HouseError("The loopback venue did not start.") from None
        self.address, self._token = f"http://127.0.0.1:{said['port']}", said["control"]
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        """End it."""
        if self._session is not None:
            await self._session.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def control(self, name: str, **said: Any) -> Any:
        """Have the venue do something; see its `control.py`. Raises HouseError."""
        assert self._session is not None
        url = f"{self.address}/control/{name}"
        async with self._session.post(url, json=said, headers={"X-Control": self._token}) as response:
            answer = await response.json()
            if response.status != 200:
                raise HouseError(f"The loopback venue refused {name}: {answer}.")
            return answer

    async def open_accounts(self, refs: Sequence[str], currency: str, cash: str) -> None:
        """Open these accounts anew, each with its deposit and without a past."""
        for start in range(0, len(refs), AT_ONCE):
            some = [[ref, secret_of(ref).decode()] for ref in refs[start : start + AT_ONCE]]
            await self.control("accounts", currency=currency, cash=cash, accounts=some)

    async def list_instrument(self, instrument: Instrument, price: str) -> None:
        """Trade an instrument there, at this price."""
        spec = instrument.spec()
        given = {name: str(getattr(spec, name)) for name in RULES}
        await self.control("instruments", instruments=[given])
        await self.control("prices", prices={spec.symbol: price})

    async def summary(self, prefix: str) -> Mapping[str, float]:
        """Counts over the accounts whose name begins so, and what the venue has spent."""
        counts: Mapping[str, float] = await self.control("summary", prefix=prefix)
        return counts
