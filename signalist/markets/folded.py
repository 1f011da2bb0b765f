"""Candles of a timeframe that nobody stores for a market, folded from shorter ones when somebody asks: a feed of its own making stores
just the timeframes that strategies run on.

Only whole candles are made: a part that is missing leaves its candle out, as the feed does (`settling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from signalist.domain.candles import Candle
from signalist.domain.timeframes import TIMEFRAMES, Timeframe, timeframe
from signalist.markets import history, ranges
from signalist.markets import models as rows
from signalist.markets.ranges import Counted, Range
from signalist.markets.settling import fold

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
MOST_PARTS = 20_000
"""Stored candles that one answer is folded from, at most, the newest of the range: two weeks of minutes."""


@dataclass(frozen=True, slots=True)
class Part:
    """Candles of a range, the newest first. `total` counts the whole range, `more` says whether it goes on behind them; `folded_from` names
    the stored timeframe where these are none that are stored."""

    candles: Sequence[rows.Candle]
    total: Counted
    more: bool
    folded_from: str = ""


def part(instrument_id: int, code: str, within: Range, limit: int, offset: int = 0) -> Part:
    """Up to `limit` candles of the range behind the newest `offset`. Two queries, three where there are none."""
    found = ranges.read(instrument_id, code, within, limit + 1, offset)
    if not found and (shorter := _shorter(instrument_id, timeframe(code))) is not None:
        return _folded(instrument_id, timeframe(code), shorter, within, limit, offset)
    return Part(found[:limit], ranges.counted(instrument_id, code, within), len(found) > limit)


def newest(instrument_id: int, code: str, count: int) -> list[Candle]:
    """The newest `count` candles, oldest first, as `history.newest` gives them where they are stored. One query then, else three."""
    stored = history.newest(instrument_id, code, count)
    if stored or (shorter := _shorter(instrument_id, timeframe(code))) is None:
        return stored
    found = _folded(instrument_id, timeframe(code), shorter, Range(), count, 0)
    return [row.value() for row in reversed(found.candles)]


def _shorter(instrument_id: int, whole: Timeframe) -> Timeframe | None:
    """The longest stored timeframe that `whole` can be made of; None where it is stored itself, or nothing is."""
    there = {span.code for span in history.spans([instrument_id], EARLIEST).get(instrument_id, [])}
    stored = [frame for frame in TIMEFRAMES if frame.code in there and whole.seconds % frame.seconds == 0]
    return None if not stored or whole.code in there else stored[-1]


def _folded(key: int, whole: Timeframe, shorter: Timeframe, within: Range, limit: int, offset: int) -> Part:
    bounds = Range(*(None if moment is None else whole.last_close(moment) for moment in (within.after, within.until)))
    parts = ranges.read(key, shorter.code, bounds, MOST_PARTS + 1)
    size, is_all = whole.seconds // shorter.seconds, len(parts) <= MOST_PARTS
    groups = (list(group) for _, group in groupby(parts[:MOST_PARTS], key=lambda row: _close(whole, row)))
    made = [group for group in groups if len(group) == size]
    chosen = [_one(key, whole, group[::-1]) for group in made[offset : offset + limit]]
    return Part(chosen, Counted(len(made), is_all), len(made) > offset + limit, shorter.code)


def _close(whole: Timeframe, row: rows.Candle) -> datetime:
    """When the candle closes that this is a part of."""
    return row.close_time if whole.is_close(row.close_time) else whole.next_close(row.close_time)


def _one(key: int, whole: Timeframe, parts: Sequence[rows.Candle]) -> rows.Candle:
    close, is_synthetic = parts[-1].close_time, all(row.is_synthetic for row in parts)
    made = fold([row.value() for row in parts], close)
    prices = {name: getattr(made, name) for name in ("open", "high", "low", "close", "volume")}
    return rows.Candle(instrument_id=key, timeframe=whole.code, close_time=close, is_synthetic=is_synthetic, **prices)
