"""The paper venue beside a living engine: its accounts are opened, and it is shown what the market did since it last looked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from signalist.accounts.paper_store import PaperStore
from signalist.clock import Clock
from signalist.domain.matching import Bar
from signalist.domain.timeframes import timeframe
from signalist.engine.database import Database
from signalist.engine.venues import PublicMarket, missed_bars, paper_exchange
from signalist.markets.models import LatestPrice
from signalist.venues.paper.exchange import SymbolBar
from signalist.venues.paper.matching_desk import Terms
from signalist.venues.paper.venue import PAPER

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class MarketClock:
    """Market time as the newest stored price tells it; never goes back."""

    def __init__(self) -> None:
        self._now = BEGINNING

    def now(self) -> datetime:
        """The time of the newest price that was seen."""
        return self._now

    def seen(self, moment: datetime) -> None:
        """A price of `moment` was seen."""
        self._now = max(self._now, moment)


class PaperMarket:
    """`exchange` is what the paper venue trades on. `moved` is called when the market has moved."""

    def __init__(self, clock: Clock, database: Database, terms: Terms, moved: Callable[[], None]) -> None:
        self._clock, self._database, self._moved = clock, database, moved
        self._store, self._market = PaperStore(), PublicMarket()
        self._prices: dict[str, tuple[Decimal, datetime]] = {}
        self.exchange = paper_exchange(self._market, clock, database, terms, waits=True)

    def open_accounts(self) -> None:
        """Open at the paper venue what people have asked for; an account that the venue knows stays as it is."""
        for account in self._store.asked_for():
            assert account.deposit is not None
            self._store.open_account(account.venue_ref, account.currency, account.deposit)

    async def moves(self) -> None:
        """Show the paper venue what the market did since it last looked: candles it missed, then the newest prices."""
        bars, ticks = await self._database(self.news)
        for _, together in groupby(bars, key=lambda bar: (bar.end, bar.begin)):
            await self.exchange.on_bars(list(together))
        if ticks:
            await self.exchange.on_bars(ticks)
        if bars or ticks:
            self._moved()
        if bars:
            newest = {bar.symbol: bar.end.isoformat() for bar in bars}
            await self._database(lambda: self._store.save_cursors(self._store.cursors() | newest))

    def news(self) -> tuple[list[SymbolBar], list[SymbolBar]]:
        """The candles that the venue missed, and the prices that are new since the last call. A `MarketClock` is set by them."""
        self._market.refresh()
        newest = LatestPrice.objects.filter(instrument__venue=PAPER).order_by("instrument__symbol")
        prices = {symbol: (price, at) for symbol, price, at in newest.values_list("instrument__symbol", "price", "at")}
        ticks = [
            SymbolBar(symbol, Bar.tick(price), at, at)
            for symbol, (price, at) in prices.items()
            if self._prices.get(symbol) != (price, at)
        ]
        if isinstance(self._clock, MarketClock):
            for tick in ticks:
                self._clock.seen(tick.end)
        bars = self._missed(prices)
        # Only now: where the database gave up, the same is done once more, and must find the same news.
        self._prices = prices
        return bars, ticks

    def _missed(self, symbols: Iterable[str]) -> list[SymbolBar]:
        """Bars behind each symbol's cursor. A symbol that was never worked on begins now: there is nothing older to fill."""
        cursors = self._store.cursors()
        fresh = {symbol: self._clock.now().isoformat() for symbol in symbols if symbol not in cursors}
        if fresh:
            cursors |= fresh
            self._store.save_cursors(cursors)
        return missed_bars(cursors, timeframe, self._clock.now() + timedelta(seconds=1))
