"""How feeds stand, for people: each source with its connection, each market fed from it, and what was corrected lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalist.domain.timeframes import timeframe
from signalist.markets.feed_models import CandleCorrection, Feed, FeedSource, PriceSource
from signalist.markets.listing_models import InstrumentChange
from signalist.markets.models import Instrument

MOST = 200
"""Feeds and corrections that are shown at once: those with trouble first."""
CORRECTIONS = 10
NAMES = {"kraken": "Kraken", "coindcx": "CoinDCX", "deriv": "Deriv", "binance": "Binance", "bybit": "Bybit"}
LOOKS = {
    "open": "ok",
    "live": "ok",
    "filling": "warn",
    "quiet": "warn",
    "maintenance": "warn",
    "connecting": "idle",
    "waiting": "idle",
    "idle": "idle",
    "resting": "idle",
}
_WORDS = {"open": "connected", "live": "live", "idle": "not fed"}


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One market's feed. `late` is how long its newest candle has been overdue, None where it is not."""

    feed: Feed
    state: str
    look: str
    late: timedelta | None
    lag: timedelta | None

    @property
    def asked(self) -> str:
        """By name, who was asked for the newest price; "" where the stream told it, or nobody did."""
        return name_of(self.feed.price_from) if self.feed.price_from not in ("", "stored") else ""

    @property
    def is_stale(self) -> bool:
        """Whether nobody tells its price, so that the stored one stands."""
        return self.feed.price_from == "stored"


@dataclass(frozen=True, slots=True)
class AskedStatus:
    """One who is asked for prices. `answered` is the share of requests, `told` that of prices; None before the first."""

    row: PriceSource
    name: str
    answered: float | None
    told: float | None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source. `asked` are those who are asked for prices where its stream tells none. `is_held`: an engine feeds from it now; what
    stands there otherwise is how it was left."""

    row: FeedSource
    name: str
    state: str
    look: str
    is_held: bool
    ahead: timedelta | None
    asked: Sequence[AskedStatus]
    feeds: Sequence[FeedStatus]
    more: int


def name_of(code: str) -> str:
    """A source as people call it."""
    return NAMES.get(code, code.capitalize())


def sources(now: datetime) -> list[SourceStatus]:
    """All sources with their active feeds, those with trouble first. Three queries."""
    by_source: dict[int, list[Feed]] = {}
    for feed in Feed.objects.filter(is_active=True).select_related("instrument").order_by("symbol", "pk"):
        by_source.setdefault(feed.source_id, []).append(feed)
    asked: dict[int, list[AskedStatus]] = {}
    for each in PriceSource.objects.order_by("source", "rank"):
        asked.setdefault(each.source_id, []).append(_asked(each))
    rows = FeedSource.objects.order_by("code")
    return [_source(row, by_source.get(row.pk, []), asked.get(row.pk, []), now) for row in rows]


def changes() -> list[InstrumentChange]:
    """What venues have changed of their markets lately, newest first, but for what a market was made with. One query."""
    known = InstrumentChange.objects.exclude(before="").select_related("instrument")
    return list(known.order_by("-at", "-pk")[:CORRECTIONS])


def corrections() -> list[CandleCorrection]:
    """The newest corrections of stored candles, newest first. One query."""
    return list(CandleCorrection.objects.select_related("instrument").order_by("-at", "-pk")[:CORRECTIONS])


def followed(instrument: Instrument) -> tuple[str, str] | None:
    """The name of the source that an instrument is fed from and its symbol there, None where it is fed from none. No query where the
    instrument was read with `feed__source`."""
    feed: Feed | None = getattr(instrument, "feed", None)
    return None if feed is None or not feed.is_active else (name_of(feed.source.code), feed.symbol)


def _asked(row: PriceSource) -> AskedStatus:
    answered = 1 - row.failed / row.requests if row.requests else None
    return AskedStatus(row, name_of(row.code), answered, row.got / row.asked if row.asked else None)


def _source(row: FeedSource, feeds: Sequence[Feed], asked: Sequence[AskedStatus], now: datetime) -> SourceStatus:
    held = row.held_until is not None and row.held_until >= now
    state = row.standing if held else "idle"
    shown = [_feed(feed, held, now) for feed in feeds]
    shown.sort(key=lambda status: status.look in ("ok", "idle"))
    return SourceStatus(
        row,
        name_of(row.code),
        _WORDS.get(state, state),
        LOOKS.get(state, "bad"),
        held,
        timedelta(milliseconds=abs(row.ahead_ms)) if row.ahead_ms else None,
        asked,
        shown[:MOST],
        max(len(shown) - MOST, 0),
    )


def _feed(feed: Feed, held: bool, now: datetime) -> FeedStatus:
    state = feed.state if held else "not fed"
    frame = timeframe(feed.timeframe)
    overdue = None if feed.last_candle is None else now - feed.last_candle - frame.length
    late = overdue if overdue is not None and overdue > frame.length else None
    lag = None if feed.lag_ms is None else timedelta(milliseconds=feed.lag_ms)
    return FeedStatus(feed, state, LOOKS.get(state, "idle" if not held else "bad"), late, lag)
