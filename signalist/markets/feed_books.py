"""The rows of feeds: where each stands when it begins, and what it says of itself as it goes on. For the engine's database thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from signalist.db import fast
from signalist.domain.candles import Candle
from signalist.domain.timeframes import Timeframe
from signalist.events.outbox import Fact, emit
from signalist.markets import models as rows
from signalist.markets.feed_models import Feed, FeedSource
from signalist.markets.feed_news import have_staff_told
from signalist.markets.filling import Filled
from signalist.markets.settling import Outcome, Told, settle_candles
from signalist.markets.tracking import flat

COUNTED = ("gaps", "backfilled", "synthetic", "late", "duplicates", "corrections", "out_of_order", "refused")
KEPT_UP = (
    "state",
    "last_candle",
    "last_ticker",
    "heard_at",
    "lag_ms",
    "open_gaps",
    "last_error",
    "price_from",
    *COUNTED,
)
OF_SOURCE = (
    "standing", "why", "standing_since", "heard_at", "connections", "reconnects", "mutes", "checksums", "malformed", "ahead_ms",
    "last_error", "last_error_at",
)  # fmt: skip

LARGEST_WHOLE = 2**31 - 1
"""The largest number that PostgreSQL's integers hold."""

_NEWEST = """
SELECT i.id, (SELECT MAX(c.close_time) FROM markets_candle c WHERE c.instrument_id = i.id AND c.timeframe = %s)
FROM markets_instrument i WHERE {chosen} ORDER BY i.id
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where an instrument's feed stands when it begins: its row, and the newest close that is stored."""

    feed: Feed
    newest: datetime | None


def source_of(code: str) -> FeedSource:
    """The row of a source; made where there is none."""
    return FeedSource.objects.get_or_create(code=code)[0]


def begin(source: FeedSource, symbols: Mapping[int, str], frame: Timeframe) -> dict[int, Begun]:
    """The feeds of these instruments by id (each with the source's symbol of it), made where they are missing. Those that are not among
    them rest. Three queries, and one or two where something changes."""
    if not symbols:
        Feed.objects.filter(source=source, is_active=True).update(is_active=False, state="resting")
        return {}
    there = {feed.instrument_id: feed for feed in Feed.objects.filter(instrument_id__in=list(symbols))}
    missing = [
        fast.new(Feed, source_id=source.pk, instrument_id=key, symbol=symbol, timeframe=frame.code)
        for key, symbol in sorted(symbols.items())
        if key not in there
    ]
    fast.insert(missing, returning=True)
    there |= {feed.instrument_id: feed for feed in missing}
    moved = [
        feed
        for key, feed in there.items()
        if (feed.source_id, feed.symbol, feed.timeframe, feed.is_active) != (source.pk, symbols[key], frame.code, True)
    ]
    for feed in moved:
        feed.source_id, feed.symbol = source.pk, symbols[feed.instrument_id]
        feed.timeframe, feed.is_active = frame.code, True
    fast.update(moved, ("source", "symbol", "timeframe", "is_active"))
    others = Feed.objects.filter(source=source, is_active=True).exclude(instrument_id__in=list(symbols))
    others.update(is_active=False, state="resting")
    newest = _newest(sorted(symbols), frame)
    return {key: Begun(feed, newest.get(key)) for key, feed in there.items()}


def _newest(instrument_ids: Sequence[int], frame: Timeframe) -> dict[int, datetime]:
    chosen, ids = fast.among("id", instrument_ids)
    found = fast.tuples(_NEWEST.replace("{chosen}", f"i.{chosen}"), [frame.code, *ids])
    return {key: fast.utc(close) for key, close in found if close is not None}


def keep_up(source: FeedSource, feeds: Sequence[Feed], told: str, now: datetime) -> None:
    """Write what the source and these feeds say of themselves now. Two statements; and where somebody must know (`told`, the standing: that
    it was tried in vain too often, or that it is there again after that) an event, and a mail to staff by a worker."""
    kept_up: Sequence[FeedSource | Feed] = (source, *feeds)
    for row in kept_up:
        _made_to_fit(row)
    with transaction.atomic():
        fast.update([source], OF_SOURCE)
        fast.update(feeds, KEPT_UP)
        if told:
            kind = "feed_failed" if told == "failed" else "feed_restored"
            emit([Fact(kind, None, now, {"source": source.code, "standing": told, "why": source.why})])
            have_staff_told(source.code, told, source.why, (source.standing_since or now).isoformat())


def _made_to_fit(row: FeedSource | Feed) -> None:
    """What a venue says may hold letters that PostgreSQL does not take, and times that no count of milliseconds there has room for."""
    for name in ("why", "last_error", "lag_ms", "ahead_ms"):
        said = getattr(row, name, None)
        if isinstance(said, str):
            setattr(row, name, "".join(letter if letter.isprintable() else " " for letter in said))
        elif said is not None:
            setattr(row, name, max(-LARGEST_WHOLE, min(said, LARGEST_WHOLE)))


def take_filled(filled: Filled, instrument_ids: Sequence[int], now: datetime) -> Outcome:
    """Bring what history says of a hole into the books: its candles, and flat ones for closes at which nothing was traded.

    Where nothing is known before the first of those, they are left out: there is no price to stand at.
    """
    hole = filled.hole
    told = [Told(key, hole.frame, candle) for key in instrument_ids for candle in filled.candles]
    if filled.idle:
        for key in instrument_ids:
            told += _invented(key, filled, _before(key, hole.frame, filled.idle[0]))
    return settle_candles(sorted(told, key=lambda t: (t.candle.close_time, t.instrument_id)), (), now)


def _invented(instrument_id: int, filled: Filled, before: Candle | None) -> list[Told]:
    known = {candle.close_time: candle for candle in filled.candles}
    found = []
    for close in sorted({*known, *filled.idle}):
        if close in known:
            before = known[close]
        elif before is not None:
            before = flat(close, before)
            found.append(Told(instrument_id, filled.hole.frame, before, invented=True))
    return found


def _before(instrument_id: int, frame: Timeframe, close: datetime) -> Candle | None:
    """The stored candle that closed last before `close`."""
    found = fast.select(
        rows.Candle,
        "instrument_id = %s AND timeframe = %s AND close_time < %s ORDER BY close_time DESC LIMIT 1",
        [instrument_id, frame.code, fast.prepared(rows.Candle, "close_time", close)],
    )
    return replace(found[0].value()) if found else None


def absent(wanted: Collection[tuple[int, str, datetime]]) -> set[tuple[int, str, datetime]]:
    """Those of the candles (instrument, timeframe, close) that are not stored. One query."""
    if not wanted:
        return set()
    mine, ids = fast.among("instrument_id", sorted({key for key, _, _ in wanted}))
    framed, codes = fast.among("timeframe", sorted({code for _, code, _ in wanted}))
    moments = sorted({close for _, _, close in wanted})
    times, stored = fast.among("close_time", [fast.prepared(rows.Candle, "close_time", moment) for moment in moments])
    found = fast.tuples(
        f"SELECT instrument_id, timeframe, close_time FROM markets_candle WHERE {mine} AND {framed} AND {times}",  # noqa: S608 our words
        [*ids, *codes, *stored],
    )
    return set(wanted) - {(key, code, fast.utc(close)) for key, code, close in found}
