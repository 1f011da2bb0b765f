"""What arrives from a venue, judged as it arrives: into the memory of its market, and onto the list of what is to be stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from signalist.clock import Clock, monotonic
from signalist.domain.candles import Candle
from signalist.domain.money import ZERO, is_storable, settle
from signalist.logs import logger
from signalist.markets import clocks_apart
from signalist.markets.board import Board, Quote
from signalist.markets.feed_models import FeedSource
from signalist.markets.filling import Filler, Hole
from signalist.markets.lines import Line
from signalist.markets.price_times import made_at
from signalist.markets.settling import Told
from signalist.markets.tracking import SETTLES, Finding, Series, Settled
from signalist.markets.unstored import Unstored
from signalist.markets.venue_time import Lateness, VenueTime
from signalist.markets.watching import Market
from signalist.venues.market_data import (
    CandleUpdate,
    Heartbeat,
    MarketNews,
    Message,
    Standing,
    StreamState,
    Ticker,
    Trouble,
    TroubleKind,
)

log = logger(__name__)

UNSAID = timedelta(seconds=3)
"""A venue that names its time, and has not done so for that long when a candle should be over, is asked for it by its history."""
SUSPECT_EVERY = 300.0
STOOD_STILL = 0.5
"""Seconds between two looks at the time after which this process, and not its venue, was late."""


@dataclass(slots=True)
class _Connection:
    """How a line stands by our clock."""

    line: Line
    symbols: tuple[str, ...]
    standing: str = "connecting"
    why: str = ""
    since: datetime | None = None
    opened: datetime | None = None
    heard: datetime | None = None
    suspected: float = float("-inf")
    late: Lateness = field(default_factory=Lateness)
    there: VenueTime = field(default_factory=VenueTime)

    def opens(self, now: datetime) -> None:
        """It is connected anew: what was known of its way and its time is not any more."""
        self.opened, self.late, self.there = now, Lateness(), VenueTime()


class Ear:
    """Hears all lines of one source. `markets` are those of its service."""

    def __init__(
        self,
        clock: Clock,
        board: Board,
        markets: MutableMapping[str, Market],
        unstored: Unstored,
        filler: Filler,
    ) -> None:
        self._clock, self._board, self._markets = clock, board, markets
        self._unstored, self._filler = unstored, filler
        self._connections: dict[str, _Connection] = {}
        self._of: dict[str, _Connection] = {}
        self._row: FeedSource | None = None
        self._began: tuple[int, int, int] = (0, 0, 0)
        self._passed_at = monotonic()
        self.told_of: Callable[[MarketNews], None] = lambda _: None

    @property
    def lines(self) -> dict[str, Line]:
        """The lines by name."""
        return {name: each.line for name, each in self._connections.items()}

    def begin(self, row: FeedSource, lines: Iterable[Line]) -> None:
        """Hear these lines from now on; counts go on from those of the source's row."""
        self._row = row
        self._began = row.connections, row.reconnects, row.mutes
        self._connections = {
            line.name: _Connection(line, tuple(sorted({s.symbol for s in line.subscriptions if s.symbol})))
            for line in lines
        }
        self._of = {symbol: each for each in self._connections.values() for symbol in each.symbols}
        for market in self._markets.values():
            market.series.forget_open()

    def hear(self, name: str, message: Message) -> None:
        """Something arrived."""
        connection, now = self._connections[name], self._clock.now()
        connection.heard = now
        match message:
            case Ticker():
                if message.at is not None:
                    connection.late.heard(message.at, now)
                self._priced(message, now)
            case CandleUpdate():
                connection.there.says(message.at, now)
                self._told(message, now)
            case Heartbeat():
                connection.there.says(message.at, now)
                self._told_the_time(message, now)
            case MarketNews():
                self.told_of(message)
            case StreamState():
                self._stands(connection, message, now)
            case Trouble():
                self.troubled(message)

    def silent_symbols(self) -> list[str]:
        """The markets of which no stream tells now."""
        return sorted(s for c in self._connections.values() if c.standing != "open" for s in c.symbols)

    def priced(self, ticker: Ticker, source: str) -> None:
        """A price for which `source` was asked."""
        self._priced(ticker, self._clock.now(), source)

    def remembers(self, ticker: Ticker) -> None:
        """A price that was stored before this process began: what is told without its time is no older."""
        before = self._board.quotes.get(ticker.symbol)
        if ticker.at is not None and (before is None or before.at < ticker.at):
            self._board.put(ticker.symbol, Quote(ticker.last, ticker.at, monotonic()))

    def fell_back(self, symbol: str, source: str) -> None:
        """Nobody tells this market's price: what is shown is from `source`, and old."""
        if (market := self._markets.get(symbol)) is not None:
            market.price_from = source

    def time_passes(self) -> None:
        """Close what is over, on lines that live: whatever was said after a close says that its stream was there.

        Not right after the process itself stood still: what was said meanwhile waits to be read, and belongs to the candle.
        """
        now, before = self._clock.now(), self._passed_at
        self._passed_at = monotonic()
        if self._passed_at - before > STOOD_STILL:
            return
        for connection in self._connections.values():
            if connection.standing != "open" or connection.heard is None:
                continue
            for symbol in connection.symbols:
                market = self._markets[symbol]
                if connection.line.source.limits.tells_time:
                    self._found(market, self._over_there(market.series, connection, now), connection)
                    continue
                there = now - connection.late.now()
                if connection.heard >= market.series.frame.last_close(there - SETTLES):
                    self._found(market, market.series.passed(there), connection)

    @staticmethod
    def _over_there(series: Series, connection: _Connection, now: datetime) -> list[Finding]:
        """Close what is over by the venue's own word; what should be by now, and it says nothing of the time, is left to its history."""
        found = [] if connection.there.told is None else series.passed(min(connection.there.told, now))
        return found + series.doubted(series.frame.last_close(connection.there.guess(now) - SETTLES - UNSAID))

    def suspect(self, market: Market, hole: Hole, candles: Sequence[Candle]) -> None:
        """History knows candles of a hole. Where there was trade in one of them while the stream was whole, the stream keeps it from us."""
        connection = self._of.get(market.symbol)
        if connection is None or connection.opened is None or not candles:
            return
        begun = connection.opened + hole.frame.length
        kept = [c for c in candles if c.volume > 0 and c.close_time - hole.frame.length > begun]
        if kept and hole.told and monotonic() - connection.suspected > SUSPECT_EVERY:
            connection.suspected = monotonic()
            market.error = f"mute: the trades of {kept[-1].close_time:%H:%M} were not told"
            connection.line.suspect(f"{market.symbol}: {market.error}")

    def standing(self, row: FeedSource, now: datetime) -> dict[str, str]:
        """How each market's connection stands; the source's row is brought up to date by it."""
        order = ("failed", "lost", "connecting", "maintenance", "open")
        for connection in self._connections.values():
            if connection.standing == "lost" and connection.line.has_failed:
                connection.standing = "failed"
        each = sorted(self._connections.values(), key=lambda c: order.index(c.standing))
        if each:
            worst = each[0]
            row.standing, row.why, row.standing_since = worst.standing, worst.why[:200], worst.since
            heard = [c.heard for c in each if c.heard is not None]
            row.heard_at = max(heard, default=row.heard_at)
        else:
            row.standing, row.why, row.standing_since = "idle", "", row.standing_since or now
        tallies = [c.line.tally for c in each]
        row.connections = self._began[0] + sum(t.connections for t in tallies)
        row.reconnects = self._began[1] + sum(t.reconnects for t in tallies)
        row.mutes = self._began[2] + sum(t.mutes for t in tallies)
        return {symbol: self._of[symbol].standing for symbol in self._markets}

    def _priced(self, ticker: Ticker, now: datetime, source: str = "") -> None:
        market = self._markets.get(ticker.symbol)
        if market is None:
            return
        price = settle(ticker.last) if is_storable(ticker.last) else ZERO
        if price <= 0:
            market.add("refused")
            market.error = f"a price of {ticker.last}"
            return
        market.heard_at = now
        if ticker.at is not None:
            self._compare_clocks(ticker.at, now)
            market.lag = now - ticker.at
        before = self._board.quotes.get(ticker.symbol)
        at = made_at(ticker, price, before, market.trades, market.asked_at, now)
        market.trades, market.asked_at = ticker.trades, now
        if not self._board.put(ticker.symbol, Quote(price, at, monotonic())):
            market.add("out_of_order")
            return
        market.last_ticker, market.price_from = at, source
        self._unstored.prices.add(ticker.symbol)

    def _told(self, update: CandleUpdate, now: datetime) -> None:
        market = self._markets.get(update.symbol)
        if market is None or update.frame != market.series.frame:
            return
        market.heard_at = now
        before = market.series.counts.early
        self._found(market, market.series.heard(update.candle, now, closed=update.closed), self._of.get(update.symbol))
        if market.series.counts.early > before:
            ahead = update.candle.close_time - now
            market.error = f"said to be closed {ahead.total_seconds():.0f} s before its time"
            if self._row is not None and ahead > clocks_apart.SKEWED:
                self._row.ahead_ms = round(ahead.total_seconds() * 1000)

    def _found(self, market: Market, findings: Sequence[Finding], connection: _Connection | None) -> None:
        for finding in findings:
            if isinstance(finding, Settled):
                market.closed(finding.candle.close_time)
                for key in market.instrument_ids:
                    self._unstored.told.append(Told(key, market.series.frame, finding.candle))
                    come = self._unstored.behind if finding.behind else self._unstored.ordered
                    come.add((key, finding.candle.close_time))
                self._unstored.closed.set()
            elif finding.given_up:
                market.error = f"nothing is known from {finding.first:%Y-%m-%d %H:%M} to {finding.last:%Y-%m-%d %H:%M}"
            else:
                whole = (
                    connection is not None
                    and connection.opened is not None
                    and connection.opened <= finding.first - market.series.frame.length
                )
                frame = market.series.frame
                self._filler.want(Hole(market.symbol, frame, finding.first, finding.last, told=whole))

    def _stands(self, connection: _Connection, state: StreamState, now: datetime) -> None:
        word = {Standing.OPEN: "open", Standing.ONLINE: "open"}.get(state.standing, state.standing.value)
        if word != connection.standing:
            connection.since = now
        if state.standing is Standing.OPEN:
            connection.opens(now)
        connection.standing, connection.why = word, state.why
        if state.standing in (Standing.LOST, Standing.OPEN):
            for symbol in connection.symbols:
                self._markets[symbol].series.forget_open()
        if state.standing is Standing.LOST:
            connection.opened = None
            self._noted(state.why, now)

    def troubled(self, trouble: Trouble) -> None:
        """Something was wrong with what arrived, on a line of these or on another of the same source."""
        if self._row is not None:
            self._row.checksums += trouble.kind is TroubleKind.CHECKSUM
            self._row.malformed += trouble.kind is TroubleKind.MALFORMED
        market = self._markets.get(trouble.symbol)
        if market is not None:
            market.error = f"{trouble.kind.value}: {trouble.why}"
        self._noted(f"{trouble.kind.value} {trouble.symbol}: {trouble.why}", self._clock.now())

    def _noted(self, why: str, now: datetime) -> None:
        if self._row is not None and why:
            self._row.last_error, self._row.last_error_at = why[:200], now

    def _compare_clocks(self, at: datetime, now: datetime) -> None:
        """A price was made then."""
        if self._row is not None:
            each = self._connections.values()
            late = min((c.late.now() for c in each), default=timedelta(0))
            named = any(c.line.source.limits.tells_time for c in each)
            self._noted(clocks_apart.by_price(self._row, at, now, late, is_named=named), now)

    def _told_the_time(self, told: Heartbeat, now: datetime) -> None:
        """The venue has named its time, in answer to us."""
        if self._row is not None and told.at is not None and told.way is not None:
            self._noted(clocks_apart.by_answer(self._row, told.at, told.way, now), now)
