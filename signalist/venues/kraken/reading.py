"""What the venue is asked about an account at Kraken, and when: its histories, its money, what it holds; put on its tape."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.clock import monotonic
from signalist.domain.money import ZERO
from signalist.venues.base import Balance, FillReport, OrderReport, Reports
from signalist.venues.errors import NoAnswer
from signalist.venues.kraken import orders
from signalist.venues.kraken.arrears import Arrears
from signalist.venues.kraken.client import Client, Signer
from signalist.venues.kraken.histories import LONGEST, SHARE, Histories, Part, TooLong
from signalist.venues.kraken.parse import moment, side
from signalist.venues.kraken.symbols import Pairs
from signalist.venues.kraken.tape import OVERLAP, Cursor, Tape

FIRST = timedelta(days=1)
"""How far back an account is read that nobody has read yet: what happened before it was connected is not ours."""
TRUSTED = 60.0
"""Seconds after which the venue is asked even if its stream has missed nothing."""
AWAITED = 1.5
"""Seconds after which the venue is asked where its stream has not told of an order that it has taken."""


class Reader:
    """Of one account. What its stream says, and whether that is all there is, comes from whoever listens to it (`desk.Desk`)."""

    def __init__(self, client: Client, signer: Signer, currency: str) -> None:
        self.client, self.signer, self.currency = client, signer, currency
        self.tape = Tape(secrets.token_hex(4))
        self.arrears = Arrears(self.tape)
        self.allowed: dict[str, float] = {}
        """When what was last answered, by method."""
        self.unread_until: datetime | None = None
        """Where the history that was wanted begins to be known; None where all of it is."""
        self._joined = self._whole = False
        """Whether the stream is joined, and whether what it and the venue have told is all there is."""
        self._joins = 0
        self._asked_at = 0.0
        self._asking: dict[str, asyncio.Future[Any]] = {}
        self._histories, self._one_reads = Histories(self.ask), asyncio.Lock()
        self._awaited_until: float | None = None
        self._money: Balance | None = None

    def _join_again(self) -> None:
        """The venue answers."""

    def _wake(self) -> None:
        """There is something new to report."""

    async def reports(self, after: str, within: float) -> Reports:
        """What is behind a cursor: from what has been told where that is all there is, else from the venue."""
        cursor, tape = Cursor.of(after), self.tape
        if cursor is not None and tape.holds(cursor):
            if not self._is_trusted():
                await self.read((tape.until or self._now()) - OVERLAP, within)
            if not tape.holds(cursor):  # so much has come meanwhile that it was let go
                return await self.reports(after, within)
            rows = sorted(tape.after(cursor), key=lambda row: row.time)  # a lost stream is told of later than the next
        else:
            begin = self._now() - FIRST if cursor is None or cursor.moment is None else cursor.moment - OVERLAP
            if tape.since is None or begin < tape.since or not self._is_trusted():
                await self.read(begin, within)
            rows = self._since(begin, is_first=cursor is None and not tape.base, goes_on=cursor is not None)
        place = tape.cursor()
        money = await self.balance(within)
        told = {row.venue_order_id: row for row in rows if isinstance(row, OrderReport)}
        fills = tuple(row for row in rows if isinstance(row, FillReport))
        return Reports(tuple(told.values()), fills, money, place, self.unread_until)

    def _since(self, begin: datetime, *, is_first: bool, goes_on: bool) -> list[OrderReport | FillReport]:
        """What happened from a moment on. Who reads for the first time is told of older orders, too; who goes on with another tape's
        cursor, of fills under our names that came late and are older than that: it knows fills by their ids."""
        late = self.arrears.told if goes_on else frozenset[str]()
        if is_first:
            return [row for row in self.tape.rows if isinstance(row, OrderReport) or row.time >= begin]
        rows = self.tape.from_moment(begin)
        older = [row for row in self.tape.rows if isinstance(row, FillReport) and row.time < begin]
        return [row for row in older if row.client_order_id and row.venue_fill_id in late] + rows

    async def read(self, since: datetime, within: float) -> None:
        """Ask for all orders and fills since a moment, as far back as histories are read: up to now, or, where that is long, up to where
        something was told. Raises StillReading where not even that is done yet."""
        ends = monotonic() + within * SHARE
        async with self._one_reads:
            if since < (first := self._now() - LONGEST):
                since = self.unread_until = first
            goes_on: datetime | None = since
            while goes_on is not None:
                goes_on = await self._read_part(goes_on, within, ends)

    async def _read_part(self, since: datetime, within: float, ends: float) -> datetime | None:
        """Orders first: whatever is filled then has its fills. The history of fills, which costs most, is asked for only where an order has
        filled more than was told. Where to go on from; None where nothing is left, or who reads must take this in first."""
        begun, now, joined = monotonic(), self._now(), self._joins if self._joined else 0
        known, tape = await self.client.pairs(), self.tape
        part, head = self._histories.part(since, now), self.tape.head
        opened = (await self.ask("OpenOrders", within))["open"]
        try:
            closed = await self._histories.rows(part, "ClosedOrders", "closed", within, ends, {"closetime": "close"})
            rows = sorted({**opened, **closed}.items(), key=lambda one: float(one[1]["opentm"]))
            told = [(orders.report(order_id, row), order_id, row) for order_id, row in rows]
            trades = {}
            if tape.lacks_fills(report for report, *_ in told):
                trades = await self._histories.rows(part, "TradesHistory", "trades", within, ends)
            for _, order_id, row in told:
                self.learn(order_id, row, known)
            for trade_id, row in sorted(trades.items(), key=lambda one: float(one[1]["time"])):
                tape.tell_fill(orders.fill(trade_id, row, "", known))
        except TooLong:
            self._histories.narrow()
            return since
        except (ValueError, KeyError, TypeError) as error:
            raise NoAnswer(f"The venue's history was none of its protocol ({type(error).__name__}).") from error
        self._histories.finish()
        self.arrears.note((report for report, *_ in told), now)
        if part.until < now:
            return self._took_in(part, head)
        await self._ask_for_arrears(within, known, now)
        if self.arrears.holds_back(now):
            # The histories of fills are behind that of orders: what they lack is asked for again, from where all was whole.
            tape.is_whole(since, tape.until or since)
            self._join_again()
            return None
        tape.is_whole(since, now)
        self._asked_at, self._awaited_until = begun, None
        # What the stream said from before the question on, and the answer, are all there is: if it is still the same stream.
        self._whole = self._whole or (joined == self._joins > 0 and self._joined)
        self._join_again()
        return None

    def _took_in(self, part: Part, head: int) -> datetime | None:
        """A part that ends before now is on the tape: who reads takes it in first, if there is anything in it, and asks again."""
        comes_last = self.tape.until is None or self.tape.until <= part.until
        self.tape.is_whole(part.since, part.until)
        if self.tape.head == head or not comes_last:
            return part.until - OVERLAP
        self._wake()
        return None

    async def _ask_for_arrears(self, within: float, known: Pairs, now: datetime) -> None:
        """Fills that orders have and their history did not tell, wherever they lie in time."""
        try:
            await self.arrears.ask(self.ask, within, known, now)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NoAnswer(f"The venue's trades were none of its protocol ({type(error).__name__}).") from error

    def learn(self, order_id: str, row: Any, known: Pairs) -> OrderReport:
        """An order as REST tells it, put on the tape."""
        report = orders.report(order_id, row)
        descr = row["descr"]
        symbol = known.symbol(str(descr["pair"]))
        self.tape.tell_order(report, symbol, side(str(descr["type"])), moment(row["opentm"]))
        return self.tape.orders[order_id].report

    async def balance(self, within: float) -> Balance:
        """The account's money: what was told last, where nothing has happened since."""
        if self._money is None or not self._is_trusted():
            self._money = self.money_of(await self.holdings(within))
        return self._money

    def money_of(self, held: Mapping[str, tuple[Decimal, Decimal]]) -> Balance:
        """The account's currency among what is held."""
        return Balance(self.currency, *held.get(self.currency, (ZERO, ZERO)))

    async def holdings(self, within: float) -> Mapping[str, tuple[Decimal, Decimal]]:
        """What is held of each asset, and what of it is free. Raises NoAnswer for what is none of the protocol."""
        said, pairs = await self.ask("BalanceEx", within), await self.client.pairs()
        try:
            return orders.holdings(said, pairs)
        except (ValueError, KeyError, TypeError) as error:
            raise NoAnswer(f"The venue's answer was none of its protocol ({type(error).__name__}).") from error

    def touched(self) -> None:
        """Something has been done in the account: what was known of its money is old, and the stream must tell of it soon."""
        self._money = None
        if self._awaited_until is None:
            self._awaited_until = monotonic() + AWAITED

    async def ask(self, method: str, within: float, fields: Mapping[str, object] | None = None) -> Any:
        """Ask for something in the account's name. The same question at the same time is asked once, for who looks at an account looks at
        its orders, its money and what it holds together; and what is answered shows that the key may ask it."""
        if fields:
            answer = await self.client.private(self.signer, method, fields, within=within)
        else:
            if method not in self._asking:
                question = self.client.private(self.signer, method, within=within)
                self._asking[method] = task = asyncio.ensure_future(question)
                task.add_done_callback(lambda _: self._asking.pop(method, None))
                task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
            # Who gives up waiting takes nothing away from the others.
            answer = await asyncio.shield(self._asking[method])
        self.allowed[method] = monotonic()
        return answer

    def _is_trusted(self) -> bool:
        now = monotonic()
        awaited = self._awaited_until is not None and now > self._awaited_until
        return self._joined and self._whole and not awaited and now < self._asked_at + TRUSTED

    def _now(self) -> datetime:
        return self.client.venue_time(self.client.clock.now())
