"""What this engine's venues remember, kept in the rows: how far nonces are taken, and which doors are closed, for all engines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from signalist.accounts import venue_memory
from signalist.clock import SystemClock
from signalist.engine.database import Database
from signalist.logs import logger
from signalist.venues.errors import NotSent
from signalist.venues.transport.ledger import RateLedger
from signalist.venues.transport.nonces import Nonces
from signalist.venues.transport.supplies import Supplies

log = logger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at what other engines heard."""
LONGEST = 200
"""Characters of a door's name on record."""


class VenueMemory:
    """Of one engine. `of` may be asked before it is opened; nothing is remembered, and no nonce given, before."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._database: Database | None = None
        self._ledgers: dict[str, RateLedger] = {}
        self._shared = False
        self._among = 1
        self._unwritten: dict[str, datetime] = {}
        self._news = asyncio.Event()
        self._nonces = Nonces(self._reserve, lambda: self._clock.now().timestamp())

    def of(self, venue: str) -> Supplies:
        """The supplies of a venue's adapter, by its code."""
        address = (venue, settings.EGRESS)
        if venue not in self._ledgers:
            self._ledgers[venue] = RateLedger(remember=partial(self._remember, venue))
            self._ledgers[venue].share(address, self._among)
        ledger = self._ledgers[venue]
        return Supplies(lambda credential: self._nonces.of(f"{venue}/{credential}"), ledger, address)

    def share(self, among: int) -> None:
        """One part of `among` of what our address may ask of each venue is this engine's from now on; of 0, nothing."""
        self._among = among
        for venue, ledger in self._ledgers.items():
            ledger.share((venue, settings.EGRESS), among)

    async def open(self, database: Database) -> None:
        """Read what was remembered before; `database` is where all of it is kept from now on."""
        self._database = database.beside()
        self._shared = self._database is database
        await self._look()

    async def keep(self) -> None:
        """Write what is heard and read what others heard, until cancelled. What the database does not take is written at the next look."""
        while True:
            try:
                await self._look()
            except (DatabaseError, InterfaceError) as error:
                log.warning("venue_memory_not_kept", error=str(error).strip())
            try:
                await asyncio.wait_for(self._news.wait(), LOOK_EVERY)
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Write what is left, and close."""
        if self._database is None:
            return
        try:
            await self._look()
        except (DatabaseError, InterfaceError) as error:
            log.warning("venue_memory_not_kept", error=str(error).strip())
        if not self._shared:
            self._database.close()
        self._database = None

    def _remember(self, venue: str, door: str, seconds: float) -> None:
        until = self._clock.now() + timedelta(seconds=seconds)
        name = f"{venue}/{door}"[:LONGEST]
        self._unwritten[name] = max(until, self._unwritten.get(name, until))
        self._news.set()

    async def _look(self) -> None:
        assert self._database is not None
        self._news.clear()
        writing = dict(self._unwritten)
        for door, seconds in (await self._database(lambda: self._exchanged(writing))).items():
            venue, _, name = door.partition("/")
            if venue in self._ledgers:
                self._ledgers[venue].heard({name: seconds})
        for door, until in writing.items():
            if self._unwritten.get(door) == until:
                del self._unwritten[door]

    def _exchanged(self, writing: Mapping[str, datetime]) -> dict[str, float]:
        for door, until in sorted(writing.items()):
            venue_memory.close(door, until)
        return venue_memory.closed(self._clock.now())

    async def _reserve(self, wanted: Mapping[str, int], block: int) -> Mapping[str, int]:
        if self._database is None:
            raise NotSent("The engine is not open yet; no nonce could be put on record.")
        try:
            return await self._database(lambda: venue_memory.reserve(wanted, block))
        except (DatabaseError, InterfaceError):
            raise NotSent("No nonce could be put on record; the database is away.") from None
