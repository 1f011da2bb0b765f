"""One account at Kraken as this process knows it: its tape, what its private stream says, and when the venue itself has to be asked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from signalist.clock import monotonic
from signalist.domain.money import ZERO
from signalist.venues.base import Balance, FillReport, OrderReport, Reports
from signalist.venues.errors import NoAnswer, SessionLost
from signalist.venues.kraken import orders
from signalist.venues.kraken.client import Client, Signer
from signalist.venues.kraken.histories import LONGEST, SHARE, Histories, Part, TooLong
from signalist.venues.kraken.parse import instant, moment, read, side
from signalist.venues.kraken.streams import request
from signalist.venues.kraken.symbols import Pairs
from signalist.venues.kraken.tape import OVERLAP, Cursor, Tape
from signalist.venues.kraken.trading_socket import TradingSocket
from signalist.venues.transport.sockets import KeptUp, Link, LinkTerms

FIRST = timedelta(days=1)
"""How far back an account is read that nobody has read yet: what happened before it was connected is not ours."""
TRUSTED = 60.0
"""Seconds after which the venue is asked even if its stream has missed nothing."""
AWAITED = 1.5
"""Seconds after which the venue is asked where its stream has not told of an order that it has taken."""
STILL_TO_COME = timedelta(minutes=2)
"""So long after an order's end its fills may appear later than it does."""
RESTED = 30.0
"""Seconds after which a stream that was given up may be begun anew."""
NO_TERMS = LinkTerms()


class Desk:
    """See the module. `url` is where the private stream is."""

    def __init__(self, client: Client, signer: Signer, currency: str, url: str, terms: LinkTerms = NO_TERMS) -> None:
        self.client, self.signer, self.currency = client, signer, currency
        self.tape = Tape(secrets.token_hex(4))
        self.placing: set[str] = set()
        """Our ids that are on their way."""
        self.state, self.why = Link.CLOSED, ""
        self._kept = KeptUp(url, self, terms, who=signer.key, admit=client.may_connect)
        self.trading = TradingSocket(client, signer, self._kept.post, self._number)
        """The way of orders over the stream."""
        self._wakes: list[Callable[[], None]] = []
        self._returns: list[Callable[[], None]] = []
        self._numbers = 0
        self._answers: dict[int, float] = {}
        self._sequence: int | None = None
        self._joined = self._whole = self._broken = False
        self._joins = 0
        self._asked_at = self._failed_at = 0.0
        self._asking: dict[str, asyncio.Future[Any]] = {}
        self._histories, self._one_reads = Histories(self.ask), asyncio.Lock()
        self.unread_until: datetime | None = None
        """Where the history that was wanted begins to be known; None where all of it is."""
        self.allowed: dict[str, float] = {}
        """When what was last answered, by method."""
        self._awaited_until: float | None = None
        self._money: Balance | None = None
        self._terms = terms

    # --- Reading ---------------------------------------------------------------------------------

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
            rows = tape.from_moment(begin) if tape.base or cursor is not None else list(tape.rows)
        place = tape.cursor()
        money = await self.balance(within)
        told = {row.venue_order_id: row for row in rows if isinstance(row, OrderReport)}
        fills = tuple(row for row in rows if isinstance(row, FillReport))
        return Reports(tuple(told.values()), fills, money, place, self.unread_until)

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
        if part.until < now:
            return self._took_in(part, head)
        if self._lacks_lately([report for report, *_ in told], now):
            # The history of fills is behind that of orders: what it lacks is asked for again, from where it was whole.
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

    def _join_again(self) -> None:
        """The venue answers: a stream that was given up while it did not is begun anew, where anybody listens."""
        if self.state is Link.FAILED and self._wakes and monotonic() > self._failed_at + RESTED * self._terms.pace:
            self._kept.start()

    def _lacks_lately(self, reports: Sequence[OrderReport], now: datetime) -> bool:
        """Whether fills of an order are still to come: of one that began where this tape did not know yet, some were told before it."""
        told_from, tape = self.tape.since, self.tape
        lately = [r for r in reports if now - r.time < STILL_TO_COME and (told_from is None or r.time >= told_from)]
        return tape.lacks_fills(lately)

    def learn(self, order_id: str, row: Any, known: Pairs) -> OrderReport:
        """An order as REST tells it, put on the tape."""
        report = orders.report(order_id, row)
        descr = row["descr"]
        symbol = known.symbol(str(descr["pair"]))
        self.tape.tell_order(report, symbol, side(str(descr["type"])), moment(row["opentm"]))
        return self.tape.orders[order_id].report

    def told(self, client_order_id: str) -> OrderReport | None:
        """An order as the stream tells it; None where it has told nothing, or may have missed something."""
        known = self.tape.order(client_order_id)
        return known.report if known is not None and self._is_trusted() else None

    async def shows(self, client_order_id: str, is_so: Callable[[OrderReport], bool]) -> OrderReport | None:
        """The order as soon as the stream shows it so, which costs no question; None where it does not within a moment."""

        def look() -> OrderReport | None:
            known = self.tape.order(client_order_id)
            return known.report if known is not None and is_so(known.report) else None

        return await self.trading.shows(look) if self._joined else None

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

    # --- The stream ------------------------------------------------------------------------------

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever the stream says something, or may have missed something."""
        self._wakes.append(wake)
        self._kept.start()

    def returns(self, say: Callable[[], None]) -> None:
        """Have `say` called whenever the stream is joined again after it was lost."""
        self._returns.append(say)

    async def leave(self, wakes: list[Callable[[], None]]) -> None:
        """Call these no more; with the last of them the stream ends."""
        for wake in wakes:
            self._wakes.remove(wake)
        if wakes and not self._wakes:
            self._returns.clear()
            await self._kept.close()

    async def close(self) -> None:
        """End the stream, whoever listens."""
        self._wakes.clear()
        self._returns.clear()
        await self._kept.close()

    async def opened(self, send: Callable[[str], Awaitable[None]]) -> None:
        """The stream is up: subscribe with a fresh token."""
        token = str((await self.ask("GetWebSocketsToken", self._terms.answer_within))["token"])
        self.trading.opening(token)
        for channel in ({"channel": "executions", "snap_orders": True, "snap_trades": False}, {"channel": "balances"}):
            number = self._number()
            self._answers[number] = monotonic() + self._terms.answer_within
            await send(request("subscribe", number, channel | {"token": token}))

    def heard(self, text: str) -> None:
        """A message. Raises SessionLost where numbers are missing, or an answer."""
        said = read(text)
        if "method" in said:
            self._answered(said)
        elif said["channel"] == "executions":
            self._executions(said)
        elif said["channel"] == "balances" and said["type"] == "update":
            self._money = None
            self._wake()
        if any(monotonic() > due for due in self._answers.values()):
            raise SessionLost("The stream did not answer a subscription in time.")
        self.trading.heard()

    def _answered(self, said: Any) -> None:
        if self.trading.answered(said):
            return
        self._answers.pop(int(said.get("req_id") or 0), None)
        if said["method"] == "subscribe" and not said.get("success", True):
            raise SessionLost(f"The stream was not joined: {said.get('error')}")
        if said["method"] == "subscribe":
            self.client.told_tier(self.signer, (said.get("result") or {}).get("maxratecount"))

    def _executions(self, said: Any) -> None:
        number = int(said["sequence"])
        gap = self._sequence is not None and number > self._sequence + 1
        again = self._sequence is not None and number <= self._sequence
        self._sequence = number if self._sequence is None else max(self._sequence, number)
        if gap and self._joined:
            self._broken, self._joined, self._whole = True, False, False
            self.trading.leave("The stream has left something out.")
        if again or (said["type"] == "update" and not self._joined):
            return  # what comes behind a gap is told in its order by whoever is asked then
        if not self.tape.tell_executions(said["data"]):
            self._whole = False
        elif self._is_trusted() and said["data"]:
            self.tape.is_whole(None, instant(str(said["data"][-1]["timestamp"])))
        if said["type"] == "snapshot":
            self._join()
        self._money, self._awaited_until = None, None
        self.trading.told()
        self._wake()

    def _join(self) -> None:
        self._joined = True
        self.trading.joined()
        self._joins += 1
        if self._broken:
            self._broken = False
            for say in self._returns:
                say()

    def lost(self) -> None:
        """The stream has ended: nothing is known until it is joined again and the venue has been asked."""
        self._broken = self._broken or self._joined
        self._joined = self._whole = False
        self._sequence, self._money = None, None
        self._answers.clear()
        self.trading.lost()
        self._wake()

    def ping(self) -> str:
        """What a silent venue is sent."""
        return request("ping", self._number())

    def _number(self) -> int:
        """Another request's."""
        self._numbers += 1
        return self._numbers

    def link(self, link: Link, why: str) -> None:
        """The connection's life has taken a turn."""
        self.state, self.why = link, why
        if link is Link.FAILED:
            self._failed_at = monotonic()
            self._wake()

    def _wake(self) -> None:
        for wake in list(self._wakes):
            wake()
