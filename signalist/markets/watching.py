"""One market as its feed sees it: its series of candles, its newest price, and what was wrong with what arrived. In memory, and pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from signalist.markets.feed_books import COUNTED
from signalist.markets.feed_models import Feed
from signalist.markets.settling import Outcome
from signalist.markets.tracking import Series

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
TELL_EVERY = timedelta(seconds=10)
QUIET_AFTER = 3
"""Candles without any word of a market after which it is called quiet."""


@dataclass(slots=True)
class Market:
    """One symbol of the source and the rows of the instruments that it feeds, since the close `since`. `extra` are counts that the series
    does not keep; `price_from` is who was asked for the newest price, "" where the stream told it."""

    symbol: str
    feeds: Sequence[Feed]
    series: Series
    began: dict[str, int] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    last_candle: datetime | None = None
    last_ticker: datetime | None = None
    asked_at: datetime | None = None
    trades: int | None = None
    heard_at: datetime | None = None
    lag: timedelta | None = None
    error: str = ""
    price_from: str = ""
    since: datetime = BEGINNING
    _shown: tuple[object, ...] = ()
    _tell_at: datetime = BEGINNING

    @classmethod
    def of(cls, symbol: str, feeds: Sequence[Feed], series: Series) -> Market:
        """A market that begins with what its rows have counted before."""
        began = {name: max(getattr(feed, name) for feed in feeds) for name in COUNTED}
        error = next((feed.last_error for feed in feeds if feed.last_error), "")
        return cls(symbol, feeds, series, began, dict.fromkeys(COUNTED, 0), error=error)

    @property
    def instrument_ids(self) -> list[int]:
        return [feed.instrument_id for feed in self.feeds]

    def closed(self, close: datetime) -> None:
        """A candle of this close is known."""
        self.last_candle = close if self.last_candle is None else max(self.last_candle, close)

    def add(self, name: str, count: int = 1) -> None:
        """Count something."""
        self.extra[name] += count

    def settled(self, outcome: Outcome, *, filled: bool, past: bool = False) -> None:
        """Count what became of candles of this market: that of its first instrument, for all are told the same."""
        key = self.feeds[0].instrument_id
        self.extra["corrections"] += outcome.corrected[key]
        if past:
            return  # what was before the feed began was missed by nobody, and makes up for no gap
        self.extra["synthetic"] += outcome.invented[key]
        if filled:
            self.extra["backfilled"] += outcome.new[key]

    def counts(self) -> dict[str, int]:
        """What was counted, in this process and before."""
        series = self.series.counts
        mine = {"gaps": series.gaps, "late": series.late, "duplicates": series.duplicates}
        mine["refused"] = series.malformed + series.early
        return {name: self.began[name] + self.extra[name] + mine.get(name, 0) for name in COUNTED}

    def state(self, standing: str, now: datetime, waits: bool) -> str:
        """One word: how the feed stands, given how its connection does and whether a hole of it waits to be filled."""
        if standing != "open":
            return standing
        if waits:
            return "filling"
        if self.last_candle is None and self.last_ticker is None:
            return "waiting"
        if self.heard_at is None or now - self.heard_at > self.series.frame.length * QUIET_AFTER:
            return "quiet"
        return "live"

    def news(self, standing: str, now: datetime, *, waits: bool) -> list[Feed]:
        """The rows as they should stand now; none where nothing changed since the last time."""
        counts, state = self.counts(), self.state(standing, now, waits)
        lost = counts["gaps"] - counts["backfilled"] - counts["synthetic"]
        lag = None if self.lag is None else round(self.lag.total_seconds() * 1000)
        matters = (state, self.last_candle, max(lost, 0), self.error[:200], self.price_from, *counts.values())
        if matters == self._shown and now < self._tell_at:
            return []
        if not self._shown:
            # Prices move all the time: their times are written now and then, each market's in a moment of its own.
            self._tell_at = now + TELL_EVERY * (sum(self.symbol.encode()) % 10) / 10
        else:
            self._tell_at = now + TELL_EVERY
        self._shown = matters
        shown = (
            state,
            self.last_candle,
            self.last_ticker,
            self.heard_at,
            lag,
            max(lost, 0),
            self.error[:200],
            self.price_from,
        )
        names = ("state", "last_candle", "last_ticker", "heard_at", "lag_ms", "open_gaps", "last_error", "price_from")
        for feed in self.feeds:
            for name, value in (*zip(names, shown, strict=True), *counts.items()):
                setattr(feed, name, value)
        return list(self.feeds)
