"""Keeps an engine's sessions in line with the keys that they were opened with, and asks venues whether they still accept them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, InterfaceError

from signalist.accounts import own_fees
from signalist.accounts.keyholding import Door, Keys, Look
from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.clock import monotonic
from signalist.engine.loop import Engine
from signalist.logs import logger, plain_words
from signalist.markets.models import Instrument
from signalist.risk.connections import accepted, invalidate
from signalist.venues.errors import BadCredential, VenueError
from signalist.venues.facts import KeyRights, TellsFees, TellsRights
from tenants.credentials import Said
from tenants.models import Credential

log = logger(__name__)

LOOK_EVERY = 0.4
"""Seconds: what was revoked is dropped within a second."""
ASK_EVERY = 300.0
"""Seconds between two questions to a venue whether it accepts a key; sooner where it has refused one."""
AGAIN = 15.0
"""Seconds until it is asked again about a key of which it did not say, or of which it could not be written what it said."""
ASKED_AT_ONCE = 20
FEES_EVERY = 3600.0
"""Seconds between two questions what an account pays: it changes with the volume of thirty days."""
MARKETS = 50
"""Of which fees are asked for, at most."""

InDatabase = Callable[[Callable[[], Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a venue said of a key: its rights, or why it refuses it."""

    door: Door
    rights: KeyRights | None
    refused: str = ""


class KeyWatch:
    """Beside one engine; see `keep`."""

    def __init__(self, keys: Keys, sessions: Sessions, engine: Engine, *, ask_every: float = ASK_EVERY) -> None:
        self._keys, self._sessions, self._engine, self._ask_every = keys, sessions, engine, ask_every
        self._asked: dict[int, float] = {}
        self._fees_asked: dict[int, float] = {}
        self._unwritten: dict[int, tuple[Credential, str]] = {}
        """Keys that do not open, and why, until that is written: it is told once."""
        self._asking: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        """Look and ask, until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except (DatabaseError, InterfaceError) as error:
                    log.warning("keys_not_looked_at", error=str(error).strip())
                if self._asking is None or self._asking.done():
                    self._asking = asyncio.create_task(self.ask(self._due()))
                await asyncio.sleep(LOOK_EVERY)
        finally:
            if self._asking is not None:
                self._asking.cancel()

    async def look(self) -> None:
        """Take the keys as the rows have them now; sessions that were opened with others end."""
        seen: Look = await self._engine.database(lambda: self._keys.look(self._engine.id))
        for door in seen.closed:
            log.warning("key_dropped", account=door.account_id)
            await self._sessions.leave(door)
        for door in seen.renewed:
            self._sessions.drop(door)
        self._engine.hear_anew(door.account_id for door in (*seen.opened, *seen.closed))
        for credential, why in seen.broken:
            log.error("credential_not_opened", credential=str(credential.public_id))
            self._unwritten[credential.pk] = (credential, why)
        for key, (credential, why) in list(self._unwritten.items()):
            await self._engine.database(lambda row=credential, why=why: _does_not_open(row, why))  # type: ignore[misc]
            self._unwritten.pop(key, None)

    async def ask(self, doors: Iterable[Door]) -> None:
        """Ask the venues of these accounts what their keys may do, some at a time, and write what they say."""
        few = asyncio.Semaphore(ASKED_AT_ONCE)

        async def one(door: Door) -> None:
            async with few:
                said = await self._ask(door)
            if said is None or not await self._written(said):
                self._asked[door.account_id] = monotonic() - self._ask_every + AGAIN
            elif not said.refused:
                await self._ask_for_fees(door)

        await asyncio.gather(*map(one, doors))

    async def _written(self, said: Heard) -> bool:
        """Write it; whether that went well. What goes wrong with one key keeps no other from being asked about."""
        try:
            await self._engine.database(lambda: self._write(said))
        except Exception as error:  # noqa: BLE001 it is asked again
            log.error("key_not_written", account=said.door.account_id, error=type(error).__name__)
            return False
        return True

    def _due(self) -> list[Door]:
        now, doubted = monotonic(), self._sessions.doubted
        self._sessions.doubted = set()
        self._fees_asked = {k: at for k, at in self._fees_asked.items() if now - at < FEES_EVERY}
        due = [
            door
            for door in self._keys.doors()
            if (door.venue, door.venue_ref) in doubted or now - self._asked.get(door.account_id, -1e9) > self._ask_every
        ]
        self._asked.update({door.account_id: now for door in due})
        return due

    async def _ask(self, door: Door) -> Heard | None:
        """What the venue says; None where it could not be asked, which says nothing about the key."""
        try:
            session = self._sessions.of(door)
            async with asyncio.timeout(self._sessions.capabilities(door.venue).answer_within):
                if isinstance(session, TellsRights):
                    return Heard(door, await session.rights())
                await session.balance()
                return Heard(door, None)
        except BadCredential as error:
            return Heard(door, None, plain_words(str(error)) or "it is not valid")
        except (VenueError, TimeoutError) as error:
            log.warning("key_not_asked_about", account=door.account_id, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 an adapter that breaks says nothing about the key, and stops nobody else
            log.error("key_not_asked_about", account=door.account_id, error=type(error).__name__)
        return None

    async def _ask_for_fees(self, door: Door) -> None:
        """Hourly, what the account pays in the markets that are offered. Where that cannot be heard, what was told before stands."""
        if door.account_id in self._fees_asked:
            return
        self._fees_asked[door.account_id] = monotonic()
        try:
            session = self._sessions.of(door)
            if not isinstance(session, TellsFees):
                return
            symbols = await self._engine.database(lambda: _offered(door.account_id))
            async with asyncio.timeout(self._sessions.capabilities(door.venue).answer_within):
                told = await session.fees(symbols)
            if told:
                now, engine = self._engine.clock.now(), self._engine.id
                await self._engine.database(lambda: own_fees.write(door.account_id, engine, told, now))
        except Exception as error:  # noqa: BLE001 what cannot be heard of fees keeps nobody from trading
            log.warning("fees_not_heard", account=door.account_id, error=type(error).__name__)

    def _write(self, said: Heard) -> None:
        """Note it, unless the key was replaced or revoked meanwhile, or the account is another engine's to judge."""
        door = said.door
        held = Account.objects.filter(pk=door.account_id, lease_owner=self._engine.id, credential=door.credential_id)
        account = held.select_related("credential").first()
        row = None if account is None else account.credential
        if row is None or row.revoked_at is not None or row.sealed_at != door.sealed_at or not self._keys.holds(door):
            return
        if said.refused:
            invalidate(row, said.refused)
        else:
            accepted(row, None if said.rights is None else Said(said.rights.rights, said.rights.seen_from))


def _offered(account_id: int) -> list[str]:
    """The markets in which the account can trade. Two queries."""
    account = Account.objects.get(pk=account_id)
    rows = Instrument.objects.filter(venue=account.venue, quote=account.currency, is_active=True).order_by("pk")
    return list(rows.values_list("symbol", flat=True)[:MARKETS])


def _does_not_open(credential: Credential, why: str) -> None:
    """Note it, unless something else was sealed in it meanwhile, or it was revoked."""
    same = {"pk": credential.pk, "sealed_at": credential.sealed_at, "key_version": credential.key_version}
    row = Credential.objects.filter(**same, revoked_at__isnull=True).first()
    if row is not None:
        invalidate(row, why)
