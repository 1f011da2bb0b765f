"""Stage `reconcile`: what the venues say happened becomes rows, and orders in doubt are looked up until it is known what became of them.

Reports are read from each account's cursor, so nothing is missed over a restart and nothing counts twice (`reported`). An order that
a dead engine was sending is UNKNOWN (`inheriting`): it is looked up, adopted where the venue has it, and given up after several looks
where not.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from signalist.accounts.beats import told
from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.clock import Clock
from signalist.db import fast
from signalist.db.units import unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.orders import Leg, OrderStatus
from signalist.events.outbox import Fact, emit
from signalist.execution import doubts, leases, nameless
from signalist.execution.nameless import Resolved, Sighting
from signalist.execution.reported import read_up_to, write_reports
from signalist.failpoints import failpoint
from signalist.logs import logger
from signalist.markets.selectors import instruments
from signalist.trading import naming, stop_tries
from signalist.trading.folding import fold_fills, fold_orders
from signalist.trading.models import Order
from signalist.trading.reservations import release_reservations
from signalist.trading.transitions import ORDER_STATE, move
from signalist.venues.base import OrderReport, Reports
from signalist.venues.errors import Next, NoAnswer, VenueError
from signalist.venues.transport.hurry import hurried
from signalist.venues.transport.under_way import UnderWay

log = logger(__name__)

InDatabase = Callable[[Callable[[], Any]], Awaitable[Any]]
Look = OrderReport | None | VenueError | Sighting


async def reconcile(
    sessions: Sessions,
    clock: Clock,
    in_database: InDatabase,
    account_ids: Collection[int],
    engine: uuid.UUID | None = None,
    heard: Callable[[Collection[int]], None] | None = None,
) -> int:
    """Read and fold what these accounts' venues report; returns how many fills were new. `heard` is told whose venue answered."""
    if not account_ids:
        return 0
    known: list[tuple[Account, str]] = await in_database(lambda: read_up_to(account_ids, engine))
    answers = await asyncio.gather(*(_reports(sessions, account, cursor) for account, cursor in known))
    reports = {
        account.pk: (cursor, answer)
        for (account, cursor), answer in zip(known, answers, strict=True)
        if answer is not None
    }
    if not reports:
        return 0
    folded: int = await in_database(lambda: write_reports(reports, clock.now(), engine))
    if heard is not None:
        heard(reports.keys())
    return folded


async def look_up(sessions: Sessions, clock: Clock, in_database: InDatabase, engine: uuid.UUID | None = None) -> int:
    """Look every order in doubt up once; returns how many found their fate."""
    doubtful: list[tuple[Order, Account]] = await in_database(lambda: _in_doubt(clock.now(), engine))
    if not doubtful:
        return 0
    answers = await asyncio.gather(*(_looked(sessions, order, account) for order, account in doubtful))
    settled: int = await in_database(lambda: write_looks(doubtful, answers, sessions, clock.now(), engine))
    _rouse(answers, doubtful, sessions)
    return settled


class Reconciler:
    """The same for an engine: accounts are read and orders looked up side by side, and nobody waits for the slowest venue.

    An account that has news while it is being read is read again after that. `news` is called when there is something to write,
    `heard` with the accounts whose reports were written.
    """

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        engine: uuid.UUID,
        in_database: InDatabase,
        *,
        news: Callable[[], None],
        heard: Callable[[Collection[int]], None] = lambda ids: None,
    ) -> None:
        self._sessions, self._clock, self._engine, self._in_database = sessions, clock, engine, in_database
        self._heard = heard
        self._reading: UnderWay[int, tuple[str, Reports | None]] = UnderWay(news)
        self._looking: UnderWay[int, tuple[Order, Account, Look]] = UnderWay(news)
        self.again: set[int] = set()

    @property
    def asks(self) -> bool:
        """Whether anything is being asked."""
        return bool(self._reading) or bool(self._looking)

    @property
    def has_answers(self) -> bool:
        """Whether there is something to write."""
        return self._reading.has_answers or self._looking.has_answers

    async def read(self, account_ids: Collection[int]) -> None:
        """Begin to read these accounts' reports."""
        self.again |= {key for key in account_ids if key in self._reading}
        asked = [key for key in account_ids if key not in self._reading]
        if not asked:
            return
        known: list[tuple[Account, str]] = await self._in_database(lambda: read_up_to(asked, self._engine))
        for account, cursor in known:
            self._reading.ask(account.pk, self._read(account, cursor))

    async def look_up(self) -> None:
        """Begin to look up every order in doubt that is not being looked up."""
        doubtful: list[tuple[Order, Account]] = await self._in_database(
            lambda: _in_doubt(self._clock.now(), self._engine)
        )
        for order, account in doubtful:
            if order.pk not in self._looking:
                self._looking.ask(order.pk, self._look(order, account))

    async def write(self) -> None:
        """Write what has come."""
        with self._reading.collected() as read:
            reports = {key: (cursor, found) for key, (cursor, found) in read if found is not None}
            if reports:
                await self._in_database(lambda: write_reports(reports, self._clock.now(), self._engine))
                self._heard(reports.keys())
        with self._looking.collected() as looks:
            if looks:
                doubtful = [(order, account) for _, (order, account, _) in looks]
                found = [look for _, (_, _, look) in looks]
                await self._in_database(
                    lambda: write_looks(doubtful, found, self._sessions, self._clock.now(), self._engine)
                )
                _rouse(found, doubtful, self._sessions)

    async def end(self, within: float) -> None:
        """Give what is being asked so many seconds, then give it up."""
        await asyncio.gather(self._reading.end(within), self._looking.end(within))

    async def _read(self, account: Account, cursor: str) -> tuple[str, Reports | None]:
        return cursor, await _reports(self._sessions, account, cursor)

    async def _look(self, order: Order, account: Account) -> tuple[Order, Account, Look]:
        return order, account, await _looked(self._sessions, order, account)


# --- Network -------------------------------------------------------------------------------------


async def _reports(sessions: Sessions, account: Account, cursor: str) -> Reports | None:
    """The account's reports; None when the venue could not be asked, which says nothing about what happened there."""
    try:
        failpoint("reconcile.call")
        within = sessions.capabilities(account.venue).answer_within
        async with asyncio.timeout(within):
            answer = await sessions.of(account).reports(cursor)
        sessions.heard(account, well=True)
        failpoint("reconcile.called")
        return answer
    except Exception as error:  # noqa: BLE001 one venue that breaks must not keep the others from being read
        _not_asked(sessions, account, error)
        return None


async def _looked(sessions: Sessions, order: Order, account: Account) -> Look:
    try:
        failpoint("look_up.call")
        abilities = sessions.capabilities(account.venue)
        with hurried(order.cancel_wanted):
            async with asyncio.timeout(abilities.answer_within):
                if nameless.has_no_name(order):
                    return await nameless.sighted(sessions.of(account), order)
                name = abilities.named(order.client_order_id, order.venue_order_id)
                answer = await sessions.of(account).look_up(name)
        failpoint("look_up.called")
        return None if answer is None else replace(answer, client_order_id=order.client_order_id)
    except Exception as error:  # noqa: BLE001 as above; the order stays in doubt
        _not_asked(sessions, account, error)
        return (
            error if isinstance(error, VenueError) else NoAnswer(f"{type(error).__name__} while talking to the venue")
        )


def _rouse(looks: Sequence[Look], doubtful: Sequence[tuple[Order, Account]], sessions: Sessions) -> None:
    """What was reported of orders without a name may have waited for what these looks came to."""
    for look, (_, account) in zip(looks, doubtful, strict=True):
        if isinstance(look, Sighting):
            sessions.rouse(account)


def _not_asked(sessions: Sessions, account: Account, error: Exception) -> None:
    sessions.doubt(account, error)
    sessions.heard(account, well=False, why=told(error))
    if isinstance(error, VenueError) and error.next is Next.RECONNECT:
        sessions.drop(account)
    log.warning("venue_not_asked", account=account.pk, venue=account.venue, error=type(error).__name__)


# --- Rows ----------------------------------------------------------------------------------------


def _in_doubt(now: datetime, engine: uuid.UUID | None) -> list[tuple[Order, Account]]:
    held, holder = leases.of(engine)
    due = f"status = 'UNKNOWN' AND (not_before IS NULL OR not_before <= %s) AND {held} ORDER BY id"
    orders = fast.select(Order, due, [fast.prepared(Order, "not_before", now), *holder])
    accounts = {a.pk: a for a in fast.select_ids(Account, sorted({order.account_id for order in orders}))}
    traded = instruments({order.instrument_id for order in orders})
    for order in orders:
        fast.relate(order, "account", accounts[order.account_id])
        fast.relate(order, "instrument", traded[order.instrument_id])
    return [(order, order.account) for order in orders]


def write_looks(
    doubtful: Sequence[tuple[Order, Account]],
    answers: Sequence[Look],
    sessions: Sessions,
    now: datetime,
    engine: uuid.UUID | None = None,
) -> int:
    """Adopt what was found; count a look for what was not, and give it up after as many as the venue needs."""
    with unit("look_up.answers"):
        locked = fast.select_ids(Account, sorted({a.pk for _, a in doubtful}), lock="update")
        accounts = leases.mine(locked, engine)
        known = [(order, answer) for (order, a), answer in zip(doubtful, answers, strict=True) if a.pk in accounts]
        found = [answer for _, answer in known if isinstance(answer, OrderReport)]
        resolved = _resolved(known, accounts, sessions, now, engine)
        found += resolved.found
        fold_orders(found, accounts, now)
        fold_fills(naming.taken_back(resolved.found, accounts), accounts, now)
        missing = [order.pk for order, answer in known if answer is None] + resolved.missing
        looked = _count_looks(missing, accounts, sessions, now)
        doubts.unanswered([order.pk for order, answer in known if isinstance(answer, VenueError)], accounts, now)
        given_up = [order for order in looked if order.state.is_final]
        emit([_gone(order, now) for order in given_up])
        again = any(not order.state.is_final and order.not_before == now for order in looked)
        ring_on_commit("protect", "place", "decide", *(["look_up"] if again else []))
    return len(found) + len(given_up)


def _resolved(
    known: Sequence[tuple[Order, Look]],
    accounts: dict[int, Account],
    sessions: Sessions,
    now: datetime,
    engine: uuid.UUID | None,
) -> Resolved:
    """What became of the orders that have no name of ours."""
    sightings = [(order, answer) for order, answer in known if isinstance(answer, Sighting)]
    if not sightings:
        return Resolved()
    abilities = {order.account_id: sessions.capabilities(accounts[order.account_id].venue) for order, _ in sightings}
    return nameless.resolve(sightings, accounts, abilities, now, engine)


def _count_looks(ids: Sequence[int], accounts: dict[int, Account], sessions: Sessions, now: datetime) -> list[Order]:
    """Count a look that found nothing; after as many as the venue needs, its interval apart, the order was never received."""
    orders = list(Order.objects.select_for_update().filter(pk__in=ids, status=OrderStatus.UNKNOWN.value).order_by("pk"))
    for order in orders:
        order.looks += 1
        abilities = sessions.capabilities(accounts[order.account_id].venue)
        if order.looks >= abilities.looks:
            move(order, OrderStatus.REJECTED, now, "the venue never received it")
        else:
            if order.cancel_wanted:
                order.setbacks = 0  # its cancel was due as well: it goes next, or looks would put it off time and again
            order.not_before = now + doubts.pause(order, abilities.look_interval, now)
    given_up = [order for order in orders if order.state.is_final]
    fast.update(orders, (*ORDER_STATE, "setbacks"))
    release_reservations([order for order in given_up if order.leg == Leg.ENTRY])
    stop_tries.look_after(given_up, now)
    return orders


def _gone(order: Order, now: datetime) -> Fact:
    return Fact("order_never_arrived", order.tenant_id, now, {"order": order.pk, "leg": order.leg})
