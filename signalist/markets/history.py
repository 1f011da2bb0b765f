"""Stored candles as pages show them: from when to when there are any, the newest ones, and closes at chosen moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.domain.candles import Candle
from signalist.domain.timeframes import TIMEFRAMES, timeframe
from signalist.markets import models as rows

# Two looks into the index for each instrument and timeframe, however many candles there are.
_SPANS = """
    SELECT i.id, f.column1,
        (SELECT MIN(c.close_time) FROM markets_candle c
         WHERE c.instrument_id = i.id AND c.timeframe = f.column1 AND c.close_time >= %s),
        (SELECT MAX(c.close_time) FROM markets_candle c
         WHERE c.instrument_id = i.id AND c.timeframe = f.column1 AND c.close_time >= %s)
    FROM markets_instrument i CROSS JOIN (VALUES {codes}) AS f WHERE {chosen}
""".replace("{codes}", ", ".join(f"('{frame.code}')" for frame in TIMEFRAMES))


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last close (aware UTC) of an instrument's candles of one timeframe."""

    code: str
    first: datetime
    last: datetime


def spans(instrument_ids: Sequence[int], since: datetime) -> dict[int, list[Span]]:
    """The spans of each instrument's candles that closed at `since` or later, the shortest timeframe first. One query."""
    if not instrument_ids:
        return {}
    moment = fast.prepared(rows.Candle, "close_time", since)
    chosen, ids = fast.among("id", sorted(instrument_ids))
    found: dict[int, list[Span]] = defaultdict(list)
    for key, code, first, last in fast.tuples(_SPANS.replace("{chosen}", f"i.{chosen}"), [moment, moment, *ids]):
        if first is not None:
            found[key].append(Span(code, fast.utc(first), fast.utc(last)))
    return {key: sorted(each, key=lambda span: timeframe(span.code).seconds) for key, each in found.items()}


def newest(instrument_id: int, code: str, count: int) -> list[Candle]:
    """The newest `count` candles of a timeframe, oldest first. One query."""
    found = fast.select(
        rows.Candle,
        "instrument_id = %s AND timeframe = %s ORDER BY close_time DESC LIMIT %s",
        [instrument_id, code, count],
    )
    return [row.value() for row in reversed(found)]


def closes(codes: Mapping[int, str], moments: Sequence[datetime]) -> dict[int, list[tuple[datetime, Decimal]]]:
    """The closes at `moments`, each floored to the timeframe that `codes` names for the instrument; in order of time. One query.

    A moment without a candle is left out.
    """
    if not codes or not moments:
        return {}
    wanted = {code: {timeframe(code).last_close(moment) for moment in moments} for code in set(codes.values())}
    times = sorted(set().union(*wanted.values()))
    mine, ids = fast.among("instrument_id", sorted(codes))
    framed, names = fast.among("timeframe", sorted(wanted))
    at, stored = fast.among("close_time", [fast.prepared(rows.Candle, "close_time", moment) for moment in times])
    found: dict[int, list[tuple[datetime, Decimal]]] = defaultdict(list)
    where = f"WHERE {mine} AND {framed} AND {at} ORDER BY close_time"
    statement = f"SELECT instrument_id, timeframe, close_time, close FROM markets_candle {where}"  # noqa: S608 our own words
    for key, code, moment, close in fast.tuples(statement, [*ids, *names, *stored]):
        if codes[key] == code and (closed := fast.utc(moment)) in wanted[code]:
            found[key].append((closed, Decimal(close)))
    return dict(found)
