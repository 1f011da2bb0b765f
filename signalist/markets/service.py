"""The market data service: one feed for everybody of one venue's public side, by the engine that holds its lease.

What arrives is put into the memory of each market at once; closed candles are stored at once, prices once a second, and the feeds' own
rows every two. Nothing here waits for the database while it listens.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from django.db import InterfaceError, OperationalError

from signalist.clock import Clock, monotonic
from signalist.logs import logger
from signalist.markets import feed_books, feed_lease, feeds, price_books
from signalist.markets.asking import Asking
from signalist.markets.board import Board
from signalist.markets.book_watch import BookWatch
from signalist.markets.dated_rates import rates_of, take_rates
from signalist.markets.feed_models import FeedSource
from signalist.markets.filling import Filled, Filler
from signalist.markets.hearing import Ear
from signalist.markets.lines import Line, lines_for
from signalist.markets.listing_work import ListingKeeper
from signalist.markets.past import Past
from signalist.markets.settling import Outcome, settle_candles
from signalist.markets.side_work import SideWork
from signalist.markets.tracking import Series
from signalist.markets.tuning import Tuning, tuning
from signalist.markets.unstored import Unstored
from signalist.markets.wanted import BASE, Wanted
from signalist.markets.watching import Market
from signalist.venues.market_data import MarketData, TellsPrices

log = logger(__name__)

T = TypeVar("T")

PRICES_EVERY, ROWS_EVERY, WANTED_EVERY, TURN = 1.0, 2.0, 5.0, 0.1
RATES_EVERY = 120.0

Doing = Callable[[Callable[[], T]], Awaitable[T]]


class MarketService:
    """Feeds from `source` while the lease is this engine's. `database` runs plain functions in the engine's thread; `wanted` is such.

    `others` are asked for prices where `source` neither streams nor answers.
    """

    def __init__(
        self,
        source: MarketData,
        clock: Clock,
        database: Doing[object],
        engine: uuid.UUID,
        wanted: Callable[[], Wanted],
        others: Sequence[TellsPrices] = (),
    ) -> None:
        self.source, self._clock, self._engine, self._wanted = source, clock, engine, wanted
        self._database = database
        self.board = Board()
        self.markets: dict[str, Market] = {}
        self.row: FeedSource | None = None
        self._shown, self._tuned = Wanted(), Tuning()
        self._unstored = Unstored()
        self._filler = Filler(source, clock, self._filled)
        self._past = Past(source, self._filler, self.markets, clock, database)
        self._ear = Ear(clock, self.board, self.markets, self._unstored, self._filler)
        self.asking = Asking([source, *others], self._ear, clock, database, self.routes)
        self._works = SideWork()
        self.listing = ListingKeeper(source, clock, database)
        self._ear.told_of = self.listing.told
        self.books = BookWatch(source, clock, database, self.routes, self._ear.troubled)
        self._due: dict[str, float] = {}
        self._holds = False

    async def keep(self) -> None:
        """Feed until cancelled; then give the lease back."""
        try:
            while True:
                try:
                    await self.turn()
                except (OperationalError, InterfaceError) as error:
                    # What was not stored is kept, and the lease runs out by itself.
                    log.warning("feed_turn_failed", source=self.source.code, error=str(error).strip())
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._unstored.closed.wait(), TURN)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Listen no more, and give the lease back."""
        await self._works.rest()
        await self.source.close()
        if self._holds:
            with suppress(OperationalError, InterfaceError):
                await self._do(lambda: feed_lease.let_go(self.source.code, self._engine))

    async def turn(self) -> None:
        """One round: the lease, what is wanted, what time makes of what was heard, and what is to be stored."""
        if self._is_due("lease", feed_lease.RENEW_EVERY if self._holds else feed_lease.ASK_EVERY):
            token = await self._do(lambda: feed_lease.hold(self.source.code, self._engine, self._clock.now()))
            if token is None and self._holds:
                log.warning("feed_lost_its_lease", source=self.source.code)
                await self._lose()
            self._holds = token is not None
        if not self._holds:
            return
        if self._is_due("wanted", WANTED_EVERY):
            wanted, tuned = await self._do(lambda: (self._wanted(), tuning()))
            if (wanted, tuned) != (self._shown, self._tuned) or self.row is None:
                await self._begin(wanted, tuned)
        self._ear.time_passes()
        await self._store()
        await self._past.look_higher(self._shown.frames)
        if self._is_due("rates", RATES_EVERY) and (rates := rates_of(self.board.quotes, self._clock.now())):
            await self._do(lambda: take_rates(rates, self._clock.now()))
        if self._is_due("rows", ROWS_EVERY):
            await self._keep_rows()

    # --- What is fed -------------------------------------------------------------------------------

    async def _begin(self, wanted: Wanted, tuned: Tuning) -> None:
        """Feed these markets from now on. Those that were fed before keep what is known of them."""
        await self._works.rest()
        self._tuned, self._past.bars = tuned, tuned.past
        symbols = {key: symbol for symbol, keys in wanted.routes.items() for key in keys}
        row = await self._do(lambda: feed_books.source_of(self.source.code))
        begun = await self._do(lambda: feed_books.begin(row, symbols, BASE))
        await self._do(lambda: self.asking.begin(row))
        now = self._clock.now()
        fresh = {}
        for symbol, keys in sorted(wanted.routes.items()):
            rows = [begun[key].feed for key in keys]
            market = self.markets.get(symbol)
            if market is None or [feed.pk for feed in market.feeds] != [feed.pk for feed in rows]:
                market = Market.of(symbol, rows, Series(BASE))
                newest = [begun[key].newest for key in keys]
                self._past.begin_series(market, None if None in newest else min(at for at in newest if at), now)
                market.since = market.series.newest or now
                market.last_candle = max((at for at in newest if at), default=None)
            fresh[symbol] = market
        self.markets.clear()
        self.markets.update(fresh)
        self._filler.only(self.markets)
        await self._past.want_left_open(now)
        self._shown, self.row = wanted, row
        self._ear.begin(row, lines_for(self.source, sorted(self.markets), BASE, self._ear.hear, tuned.per_connection))
        self._past.want_higher(wanted.frames, now)
        self._works.begin({name: line.keep for name, line in self._ear.lines.items()})
        self._works.begin({"listing": self.listing.keep, "books": self.books.keep})
        self._works.begin({"history": self._filler.keep, "prices": self.asking.keep, "time": self._let_time_pass})

    async def _lose(self) -> None:
        """Another engine feeds from now on: what is known here is old by the time the lease comes back, and is begun anew from the rows."""
        await self._works.rest()
        self._unstored.take()
        self.markets.clear()
        self._past.forget()
        self.row = None

    # --- What is stored ----------------------------------------------------------------------------

    async def _store(self) -> None:
        """Store what closed, at once, and prices once a second."""
        self._unstored.closed.clear()
        if not self._unstored.told and not (self._unstored.prices and self._is_due("prices", PRICES_EVERY)):
            return
        told, behind, moved = self._unstored.take()
        prices = [
            feeds.Price(key, quote.price, min(quote.at, self._clock.now()))
            for symbol in sorted(moved)
            if symbol in self.markets
            for quote in [self.board.quotes[symbol]]
            for key in self.markets[symbol].instrument_ids
        ]
        try:
            if told:
                outcome = await self._do(lambda: settle_candles(told, prices, self._clock.now()))
                self._count(outcome, behind)
            else:
                await self._do(lambda: feeds.take_prices(prices))
        except (OperationalError, InterfaceError):
            self._unstored.put_back(told, behind, moved)
            raise

    def _count(self, outcome: Outcome, behind: set[tuple[int, datetime]]) -> None:
        for market in self.markets.values():
            market.settled(outcome, filled=False)
            key = market.feeds[0].instrument_id
            mine = [(key, BASE.code, at) for k, at in behind if k == key and at > market.since]
            market.add("backfilled", sum(each in outcome.entered for each in mine))
            market.add("late", sum(each in outcome.entered or each in outcome.replaced for each in mine))

    async def _filled(self, filled: Filled) -> None:
        """History has answered."""
        hole, market = filled.hole, self.markets.get(filled.hole.symbol)
        if market is None:
            return
        if filled.why:
            market.error = f"history: {filled.why}"
            return
        keys, now = market.instrument_ids, self._clock.now()
        try:
            outcome = await self._do(lambda: feed_books.take_filled(filled, keys, now))
        except (OperationalError, InterfaceError) as error:
            log.warning("filled_candles_not_stored", symbol=hole.symbol, error=str(error).strip())
            self._filler.want(hole)
            return
        if hole.frame == BASE:
            for candle in filled.candles[-1:]:
                market.closed(candle.close_time)
            market.settled(outcome, filled=True, past=hole.past)
            if not hole.past:
                self._ear.suspect(market, hole, filled.candles)

    async def _let_time_pass(self) -> None:
        """Close what is over in time, also while the database keeps a round waiting."""
        while True:
            await asyncio.sleep(TURN)
            self._ear.time_passes()

    async def _keep_rows(self) -> None:
        """Write how everything stands, what has changed of it."""
        assert self.row is not None
        row, now = self.row, self._clock.now()
        before = row.standing
        standing = self._ear.standing(row, now)
        changed = [
            feed
            for symbol, market in self.markets.items()
            for feed in market.news(standing[symbol], now, waits=self._filler.waits_for(symbol))
        ]
        told = row.standing if row.standing != before and "failed" in (row.standing, before) else ""
        try:
            await self._do(lambda: feed_books.keep_up(row, changed, told, now))
        except (OperationalError, InterfaceError):
            row.standing = before  # as it is stored: what somebody must know is told by the next round
            raise
        if asked := self.asking.news():
            await self._do(lambda: price_books.keep_up(asked))

    async def _do(self, function: Callable[[], T]) -> T:
        return await self._database(function)  # type: ignore[return-value]  # what it runs says what it returns

    def routes(self) -> Mapping[str, Sequence[int]]:
        """The instruments that each symbol feeds now; none where another engine does."""
        return {symbol: market.instrument_ids for symbol, market in self.markets.items()}

    def lines(self) -> Mapping[str, Line]:
        """The connections by name."""
        return self._ear.lines

    def due_now(self, what: str) -> None:
        """Have this done in the next round."""
        self._due.pop(what, None)

    def _is_due(self, what: str, every: float) -> bool:
        if monotonic() < self._due.get(what, 0.0):
            return False
        self._due[what] = monotonic() + every
        return True
