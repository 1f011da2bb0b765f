"""The heartbeat outside the host: an address is called while candles are decided in time. Silence is the alarm.

Whoever answers there (a dead man's switch on another host) raises it when no call comes; nothing on this machine has to work for that.
The call has a task of its own, is bounded in time and is never waited for by what trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from django.db import InterfaceError, OperationalError

from signalist.logs import logger

log = logger(__name__)

WITHIN = 5.0
"""Seconds that a call may take."""


@dataclass(frozen=True, slots=True)
class Call:
    """What came of one beat: `called` is whether the address was called, `well` whether it answered with a status below 300."""

    called: bool
    well: bool
    said: str


class Outside:
    """Calls `url` every so many seconds unless `undecided` (a sentence) tells why not; `noted` is handed what came of it."""

    def __init__(
        self,
        url: str,
        every: float,
        *,
        undecided: Callable[[], Awaitable[str]],
        noted: Callable[[Call], Awaitable[Any]],
    ) -> None:
        self._url, self._every = url, every
        self._undecided, self._noted = undecided, noted

    async def keep(self) -> None:
        """Beat until cancelled. What fails is logged and counted, and tried again at the next beat."""
        timeout = aiohttp.ClientTimeout(total=WITHIN)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                try:
                    await self._noted(await self.beat(session))
                except (OperationalError, InterfaceError) as error:
                    log.warning("outside_heartbeat_without_database", error=str(error).strip())
                await asyncio.sleep(self._every)

    async def beat(self, session: aiohttp.ClientSession) -> Call:
        """One beat. The address is a secret in many such services, so it is in no message."""
        if why := await self._undecided():
            log.error("outside_heartbeat_withheld", why=why)
            return Call(called=False, well=False, said=f"not called: {why}")
        try:
            async with session.get(self._url, allow_redirects=False) as answer:
                call = Call(called=True, well=answer.status < 300, said=f"status {answer.status}")
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            call = Call(called=True, well=False, said=f"no answer ({type(error).__name__})")
        if not call.well:
            log.warning("outside_heartbeat_failed", said=call.said)
        return call
