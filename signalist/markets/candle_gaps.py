"""Which closes are missing among stored candles: what a feed asks its venue for again when it begins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from signalist.db import fast
from signalist.domain.timeframes import Timeframe
from signalist.markets import models as rows

Span = tuple[datetime, datetime]

_COUNTED = """
SELECT instrument_id, COUNT(*), MIN(close_time), MAX(close_time) FROM markets_candle
WHERE {mine} AND timeframe = %s AND close_time >= %s GROUP BY instrument_id
"""
_CLOSES = """
SELECT instrument_id, close_time FROM markets_candle
WHERE {mine} AND timeframe = %s AND close_time >= %s ORDER BY instrument_id, close_time
"""


def gaps(instrument_ids: Collection[int], frame: Timeframe, since: datetime) -> Mapping[int, list[Span]]:
    """The holes between stored candles that closed at `since` or later, oldest first, by instrument: first and last close that are missing.

    Two queries: how many there are of each instrument, which tells whether any is missing, and all closes of those where one is.
    """
    if not instrument_ids:
        return {}
    mine, ids = fast.among("instrument_id", sorted(instrument_ids))
    begin = fast.prepared(rows.Candle, "close_time", since)
    counted = fast.tuples(_COUNTED.replace("{mine}", mine), [*ids, frame.code, begin])
    open_ones = [
        key for key, count, first, last in counted if (fast.utc(last) - fast.utc(first)) / frame.length >= count
    ]
    if not open_ones:
        return {}
    mine, ids = fast.among("instrument_id", sorted(open_ones))
    found: dict[int, list[Span]] = {}
    before: dict[int, datetime] = {}
    for key, at in fast.tuples(_CLOSES.replace("{mine}", mine), [*ids, frame.code, begin]):
        close = fast.utc(at)
        if key in before and close - before[key] > frame.length:
            found.setdefault(key, []).append((before[key] + frame.length, close - frame.length))
        before[key] = close
    return found
