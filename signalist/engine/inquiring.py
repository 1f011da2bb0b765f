"""Answers what people ask of their accounts' venues, and notes how those venues answer. Beside one engine's work."""

from __future__ import annotations

import asyncio
from typing import Any

from django.db import DatabaseError, InterfaceError

from signalist.accounts import inquiries
from signalist.accounts.beats import Beat, told
from signalist.accounts.inquiries import Heard
from signalist.accounts.models import Inquiry
from signalist.accounts.sessions import Sessions
from signalist.clock import monotonic, utc_now
from signalist.engine.loop import Engine
from signalist.logs import logger, plain_words
from signalist.venues.base import Session
from signalist.venues.errors import VenueError
from signalist.venues.facts import TellsFacts, TellsRights

log = logger(__name__)

LOOK_EVERY = 0.5
NOTE_EVERY = 5.0
"""Seconds between two looks at what changed in how venues answer; what stays the same is written once a minute."""
SAME_EVERY = 60.0


class Inquirer:
    """Beside one engine; see `keep`."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self._engine, self._sessions = engine, sessions
        self._asking: set[asyncio.Task[None]] = set()
        self._in_hand: set[int] = set()
        self._noted: dict[int, tuple[Beat, float]] = {}

    async def keep(self) -> None:
        """Look, ask and note, until cancelled."""
        due = 0.0
        try:
            while True:
                try:
                    await self.look()
                    if monotonic() >= due:
                        await self.note()
                        due = monotonic() + NOTE_EVERY
                except (DatabaseError, InterfaceError) as error:
                    log.warning("inquiries_not_looked_at", error=str(error).strip())
                await asyncio.sleep(LOOK_EVERY)
        finally:
            for task in self._asking:
                task.cancel()

    async def look(self) -> None:
        """Begin with what waits and is not in hand, of accounts that are listened to: one that is being taken has no keys yet, one that was
        left is another engine's. An account whose venue is slow keeps no other waiting."""
        found: list[Inquiry] = await self._engine.database(lambda: inquiries.waiting(self._engine.id, utc_now()))
        for row in found:
            if row.pk not in self._in_hand and self._holds(row.account_id):
                self._in_hand.add(row.pk)
                task = asyncio.create_task(self._answer(row))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    async def note(self) -> None:
        """Write how venues answer where that has changed, or was last written a minute ago."""
        now = monotonic()
        held = [(account.pk, self._sessions.beat(account)) for account in self._engine.held]
        # What was written of an account that was left meanwhile, another engine may have written over.
        self._noted = {key: self._noted[key] for key, _ in held if key in self._noted}
        news = {key: beat for key, beat in held if beat is not None and self._is_news(key, beat, now)}
        if news:
            await self._engine.database(lambda: inquiries.note(news, self._engine.id))
            self._noted.update({key: (beat, now) for key, beat in news.items()})

    async def _answer(self, row: Inquiry) -> None:
        try:
            heard = await self._ask(row)
            await self._engine.database(lambda: inquiries.answered([heard], self._engine.id, utc_now()))
        except (DatabaseError, InterfaceError) as error:
            log.warning("inquiry_not_written", error=str(error).strip())
        finally:
            self._in_hand.discard(row.pk)

    async def _ask(self, row: Inquiry) -> Heard:
        begun, account = monotonic(), row.account
        answer: dict[str, Any] = {}
        problem = ""
        try:
            session = self._sessions.of(account)
            async with asyncio.timeout(self._sessions.capabilities(account.venue).answer_within):
                answer = await _everything(session)
            if self._holds(account.pk):
                self._sessions.heard(account, well=True)
        except Exception as error:  # noqa: BLE001 an adapter that breaks is told of, and stops nobody else
            problem = told(error)
            if self._holds(
                account.pk
            ):  # else its session was closed under the question, which says nothing of the venue
                self._sessions.doubt(account, error)
                self._sessions.heard(account, well=False, why=problem)
            if not isinstance(error, VenueError | TimeoutError):
                log.error("inquiry_failed", account=account.pk, error=type(error).__name__)
        return Heard(row.pk, round((monotonic() - begun) * 1000), answer, problem)

    def _holds(self, account_id: int) -> bool:
        return any(account.pk == account_id for account in self._engine.held)

    def _is_news(self, account_id: int, beat: Beat, now: float) -> bool:
        before, at = self._noted.get(account_id, (None, 0.0))
        if before is None or now - at >= SAME_EVERY:
            return True
        return (before.is_up, before.why, before.interruptions) != (beat.is_up, beat.why, beat.interruptions)


async def _everything(session: Session) -> dict[str, Any]:
    """Everything that an account's page shows of its venue, asked one after the other as one key wants it."""
    balance = await session.balance()
    answer: dict[str, Any] = {
        "currency": plain_words(balance.currency),
        "total": str(balance.total),
        "available": str(balance.available),
        "open_orders": len(await session.open_orders()),
        "positions": len([one for one in await session.positions() if one.quantity]),
    }
    if isinstance(session, TellsRights):
        told = await session.rights()
        rights = sorted(plain_words(right) for right in told.rights)
        answer |= {"rights": rights, "seen_from": plain_words(told.seen_from)}
    if isinstance(session, TellsFacts):
        facts = await session.facts()
        answer |= {name: plain_words(getattr(facts, name)) for name in ("tier", "margin", "held_as", "problem")}
    return answer
