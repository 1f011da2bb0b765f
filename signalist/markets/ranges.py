"""Stored candles of one instrument and timeframe between two moments: read in parts, and counted as far as a bound.

All of it is served by the one index on (instrument, timeframe, close time): a reader costs what it reads, a count at most `MOST_COUNTED`
entries of the index, however much is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from signalist.db import fast
from signalist.markets import models as rows

MOST_COUNTED = 50_000
"""So many candles of a range are counted, and may be passed over, at most: five weeks of minutes."""


@dataclass(frozen=True, slots=True)
class Range:
    """Candles that close behind `after` and at `until` or before (aware UTC; None: as far as there are any).

    Of moments on candles' boundaries these are the candles that lie between the two.
    """

    after: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """How many candles lie in a range; that many or more where it is not exact."""

    number: int
    is_exact: bool


def read(
    instrument_id: int, code: str, within: Range, limit: int, offset: int = 0, *, oldest_first: bool = False
) -> list[rows.Candle]:
    """Up to `limit` rows of the range behind the first `offset`, the newest first unless said otherwise. One query."""
    condition, parameters = _where(instrument_id, code, within)
    order = "ASC" if oldest_first else "DESC"
    return fast.select(
        rows.Candle, f"{condition} ORDER BY close_time {order} LIMIT %s OFFSET %s", [*parameters, limit, offset]
    )


def counted(instrument_id: int, code: str, within: Range, most: int | None = None) -> Counted:
    """How many candles there are in the range, up to `most` (`MOST_COUNTED`). One query, which reads so much of the index and no more."""
    most = MOST_COUNTED if most is None else most
    condition, parameters = _where(instrument_id, code, within)
    statement = f"SELECT COUNT(*) FROM (SELECT 1 FROM markets_candle WHERE {condition} LIMIT %s) AS found"  # noqa: S608 our own words
    number = fast.tuples(statement, [*parameters, most + 1])[0][0]
    return Counted(min(number, most), number <= most)


def stored(instrument_id: int, code: str, within: Range) -> QuerySet[rows.Candle]:
    """The rows of the range, for whoever goes through all of them."""
    found = rows.Candle.objects.filter(instrument=instrument_id, timeframe=code)
    if within.after is not None:
        found = found.filter(close_time__gt=within.after)
    return found if within.until is None else found.filter(close_time__lte=within.until)


def _where(instrument_id: int, code: str, within: Range) -> tuple[str, list[Any]]:
    condition, parameters = "instrument_id = %s AND timeframe = %s", [instrument_id, code]
    for words, moment in ((" AND close_time > %s", within.after), (" AND close_time <= %s", within.until)):
        if moment is not None:
            condition += words
            parameters.append(fast.prepared(rows.Candle, "close_time", moment))
    return condition, parameters
