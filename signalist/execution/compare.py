"""Stage `compare`: looks at what accounts' venues hold beside our books, again and again, and notes what differs and lasts.

A look asks the venue for everything that is open, and then for news, between two readings of our books: where those differ, where
there was news, or a symbol is on the move, nothing is concluded. What several looks see alike is a difference
(`trading.discrepancies`); it denies entries and asks, and nothing here repairs it unasked. The one exception is our own order that the
venue does not know any more: a stop or a target is written off and replaced, because a position without one is worse, and the
difference stays. What people have answered is carried out here, too.
"""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.clock import Clock
from signalist.db.units import unit
from signalist.domain.errors import DomainError
from signalist.execution.carrying_out import asked, carry_out, is_done_at_venue
from signalist.execution.sides import at_stake, books_of, last_trade, named_orders
from signalist.execution.verdicts import Verdict, judge, note_look, store_looks, take_news
from signalist.failpoints import failpoint
from signalist.logs import logger, plain_words
from signalist.trading.comparing import Books, Snapshot, compare, unlisted
from signalist.trading.discrepancies import AccountLook, Discrepancy
from signalist.trading.models import Order
from signalist.venues.base import OrderReport, Session
from signalist.venues.errors import OrderNotOpen
from signalist.venues.transport.under_way import UnderWay

log = logger(__name__)

InDatabase = Callable[[Callable[[], Any]], Awaitable[Any]]
EVERY = timedelta(seconds=60)
"""So often an account is looked at that agreed the last time (CON-37)."""
AGAIN = timedelta(seconds=3)
"""So soon it is looked at again where something differed, was on the move, or the venue could not be asked."""
AT_ONCE = 50
LOOKED_UP = 5
"""So many orders that a venue does not list are asked for one by one in a look."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at an account: our books before it, and what the venue said; None where it could not be asked."""

    account: Account
    before: Books
    snapshot: Snapshot | None


class Comparer:
    """Looks at the accounts of an engine. A `patient` one waits for each look; another keeps at most `AT_ONCE` under way and calls
    `news` when there is something to write. `stale` are accounts whose reports should be read before the next look."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        engine: uuid.UUID,
        in_database: InDatabase,
        *,
        news: Callable[[], None],
        patient: bool,
    ) -> None:
        self._sessions, self._clock, self._engine, self._in_database = sessions, clock, engine, in_database
        self._patient = patient
        self._held: dict[int, Account] = {}
        self._due: dict[int, datetime] = {}
        self._suspected: dict[int, Verdict] = {}
        self._looking: UnderWay[int, Looked] = UnderWay(news)
        self._taking_down: UnderWay[int, str] = UnderWay(news)
        self.stale: set[int] = set()

    @property
    def asks(self) -> bool:
        """Whether anything is being asked."""
        return bool(self._looking) or bool(self._taking_down)

    @property
    def has_answers(self) -> bool:
        """Whether there is something to write."""
        return self._looking.has_answers or self._taking_down.has_answers

    def hold(self, accounts: Collection[Account]) -> None:
        """These are the accounts to look at from now on. New ones are due, as are those that were not heard for a while: those that trade
        now, the others within `EVERY`."""
        self._held = {account.pk: account for account in accounts}
        for known in (self._due, self._suspected):
            for key in known.keys() - self._held.keys():
                del known[key]

    def wants(self, account_ids: Collection[int]) -> None:
        """Look at these as soon as may be."""
        self._due |= {key: self._clock.now() for key in account_ids if key in self._held}

    async def look(self) -> None:
        """Begin the looks that are due."""
        now = self._clock.now()
        interrupted = set(self._sessions.interrupted)
        fresh = [
            key
            for key, a in sorted(self._held.items())
            if key not in self._due or (a.venue, a.venue_ref) in interrupted
        ]
        if fresh:
            busy: set[int] = await self._in_database(lambda: at_stake(fresh))
            latest = now + EVERY
            turns = {key: now if key in busy else now + EVERY * _share(self._held[key]) for key in fresh}
            self._due |= {key: min(at, self._due.get(key, latest)) for key, at in turns.items()}
        self._sessions.interrupted -= interrupted  # not before: where the database gives up, nobody else remembers them
        room = AT_ONCE - len(self._looking)
        due = sorted((at, key) for key, at in self._due.items() if at <= now and key not in self._looking)
        chosen = [key for _, key in due[:room]]
        if not chosen:
            return
        books: Mapping[int, tuple[Account, Books]] = await self._in_database(lambda: books_of(chosen, self._engine))
        for key in chosen:
            self._due[key] = now + EVERY
        if self._patient:
            found = await asyncio.gather(*(self._looked(account, before) for account, before in books.values()))
            await self._conclude(found)
            return
        for key, (account, before) in books.items():
            self._looking.ask(key, self._looked(account, before))

    async def write(self) -> None:
        """Conclude from the looks that have come."""
        with self._taking_down.collected() as taken_down:
            if taken_down:
                await self._carry_out(dict(taken_down))
        with self._looking.collected() as looks:
            await self._conclude([answer for _, answer in looks])

    async def _conclude(self, looks: Sequence[Looked]) -> None:
        now = self._clock.now()
        for looked in looks:
            if looked.snapshot is None:
                self._due[looked.account.pk] = now + AGAIN
        told = [looked for looked in looks if looked.snapshot is not None]
        if not told:
            return
        verdicts: dict[int, Verdict | None] = await self._in_database(lambda: self._judged(told, now))
        for key, verdict in verdicts.items():
            self._after(key, verdict, now)

    async def answer(self) -> None:
        """Carry out what people have answered to differences."""
        found: list[tuple[Discrepancy, Account]] = await self._in_database(lambda: asked(self._engine))
        found = [(row, account) for row, account in found if row.pk not in self._taking_down.in_hand()]
        at_venue = [(row, account) for row, account in found if is_done_at_venue(row)]
        done = {row.pk: "" for row, _ in found if not is_done_at_venue(row)}
        if self._patient:
            done |= {row.pk: await self._taken_down(row, account) for row, account in at_venue}
        else:
            for row, account in at_venue:
                self._taking_down.ask(row.pk, self._taken_down(row, account))
        if done:
            await self._carry_out(done)

    async def _carry_out(self, done: Mapping[int, str]) -> None:
        def work() -> set[int]:
            with unit("compare.answers"):
                return carry_out(done, self._engine, self._clock.now())

        self.wants(await self._in_database(work))

    async def end(self) -> None:
        """Give up what is being asked."""
        await asyncio.gather(self._looking.end(0.0), self._taking_down.end(0.0))

    def _after(self, key: int, verdict: Verdict | None, now: datetime) -> None:
        """When to look again: soon where nothing could be concluded yet, or where something differs."""
        if key not in self._held:
            return
        if verdict is not None:
            self._suspected[key] = verdict
        if verdict is None or verdict.looks_again:
            self._due[key] = now + AGAIN
            self.stale.add(key)

    def _judged(self, looks: Sequence[Looked], now: datetime) -> dict[int, Verdict | None]:
        """By account what its look came to; None where our books were on the move meanwhile, and nothing is concluded."""
        with unit("compare.looks"):
            ids = [looked.account.pk for looked in looks]
            current = books_of(ids, self._engine, lock="update")
            said = [looked.snapshot for looked in looks if looked.snapshot is not None]
            named = named_orders({o.client_order_id for one in said for o in one.orders if o.client_order_id})
            through, noted = last_trade(), list[AccountLook]()
            verdicts: dict[int, Verdict | None] = {}
            for looked in looks:
                key = looked.account.pk
                if key not in current:
                    continue
                account, books = current[key]
                if books.print != looked.before.print:
                    verdicts[key] = None
                    continue
                assert looked.snapshot is not None
                if take_news(account, looked.snapshot, now):
                    verdicts[key] = None
                    continue
                books.named = named.get(key, {})
                noted.append(books.look or AccountLook(tenant_id=account.tenant_id, account_id=key))
                abilities = self._sessions.capabilities(account.venue)
                found = compare(books, looked.snapshot, stock=abilities.holds_stock)
                suspected = self._suspected.get(key)
                try:
                    verdicts[key] = judge(account, books, looked.snapshot, found, suspected, abilities, now)
                except DomainError as error:  # what cannot be judged of one account ends no look at the others
                    log.error("account_not_compared", account=key, error=str(error))
                    verdicts[key] = None
                    noted.pop()
                    continue
                note_look(noted[-1], books, looked.snapshot, found, through, now)
            store_looks(noted)
        return verdicts

    # --- Network ---------------------------------------------------------------------------------

    async def _looked(self, account: Account, before: Books) -> Looked:
        try:
            within = self._sessions.capabilities(account.venue).answer_within
            snapshot = await asyncio.wait_for(self._snapshot(account, before), within)
        except Exception as error:  # noqa: BLE001 a venue that breaks must not keep the others from being looked at
            log.warning("venue_not_looked_at", account=account.pk, venue=account.venue, error=type(error).__name__)
            return Looked(account, before, None)
        return Looked(account, before, snapshot)

    async def _snapshot(self, account: Account, before: Books) -> Snapshot:
        session = self._sessions.of(account)
        failpoint("compare.call")
        orders, positions, balance = await asyncio.gather(session.open_orders(), session.positions(), session.balance())
        found = await self._look_up(account, session, unlisted(before, orders))
        # Asked for last: where there is nothing new, our books know all that the answers before this one knew.
        news = await session.reports(before.cursor)
        failpoint("compare.called")
        return Snapshot(orders, positions, balance, news, found)

    async def _taken_down(self, row: Discrepancy, account: Account) -> str:
        """Cancel an order that is not ours; returns what the venue said against it. One that is gone already is as good."""
        try:
            within = self._sessions.capabilities(account.venue).answer_within
            session = self._sessions.of(account)
            failpoint("compare.take_down")
            await asyncio.wait_for(session.take_down(row.subject), within)
            failpoint("compare.taken_down")
        except OrderNotOpen:
            return ""
        except Exception as error:  # noqa: BLE001 whatever it was, it is told to whoever asked
            return _not_cancelled(error)
        return ""

    async def _look_up(
        self, account: Account, session: Session, orders: Sequence[Order]
    ) -> dict[int, OrderReport | None]:
        """Ask for orders of ours that should rest there and are not listed."""
        abilities = self._sessions.capabilities(account.venue)
        found: dict[int, OrderReport | None] = {}
        for order in orders[:LOOKED_UP]:
            said = await session.look_up(abilities.named(order.client_order_id, order.venue_order_id))
            found[order.pk] = None if said is None else replace(said, client_order_id=order.client_order_id)
        return found


def _not_cancelled(error: Exception) -> str:
    """What went wrong, for whoever asked. An error's own words may quote what was sent, and with it a secret."""
    if isinstance(error, TimeoutError):
        return "The venue did not say in time whether it is cancelled; the next looks will show it."
    return f"The venue did not cancel it: {plain_words(str(error)) or type(error).__name__}"


def _share(account: Account) -> float:
    """Where in the minute an account has its turn, from 0 to 1: drawn from its name, so that the same accounts have the same turns."""
    return zlib.crc32(f"{account.venue}:{account.venue_ref}".encode()) / 2**32
