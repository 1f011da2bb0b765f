"""What is known of a market right now, from two sources: the newest price of the stream, and the candle that closed last."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.db import fast
from signalist.domain.timeframes import TIMEFRAMES, timeframe
from signalist.markets.models import Candle
from signalist.markets.selectors import latest_prices

_RANK = {frame.code: rank for rank, frame in enumerate(TIMEFRAMES)}
_CODES = " UNION ALL ".join(f"SELECT '{code}' AS code" for code in _RANK)
_NEWEST = f"""
SELECT i.id, f.code, (
    SELECT MAX(c.close_time) FROM markets_candle c WHERE c.instrument_id = i.id AND c.timeframe = f.code AND NOT c.is_synthetic
)
FROM markets_instrument i, ({_CODES}) f
WHERE i.{{mine}} ORDER BY i.id
"""  # noqa: S608 the words put in are constants of the core


@dataclass(frozen=True, slots=True)
class Sight:
    """A market: the newest `price` and when it was made, and the range of the last closed candle with when that candle began and
    ended. What is not known is None."""

    price: Decimal | None = None
    at: datetime | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    began: datetime | None = None
    ended: datetime | None = None

    def age(self, now: datetime) -> timedelta | None:
        """How old the newest price is; None where there never was one."""
        return None if self.at is None else now - self.at


def sights(instrument_ids: Collection[int]) -> dict[int, Sight]:
    """Each of these markets. Three queries however many there are."""
    prices, candles = latest_prices(instrument_ids), _candles(instrument_ids)
    return {key: _sight(prices.get(key), candles.get(key)) for key in instrument_ids}


def _sight(streamed: tuple[Decimal, datetime] | None, candle: Candle | None) -> Sight:
    if candle is None:
        return Sight() if streamed is None else Sight(*streamed)
    price, at = (
        streamed if streamed is not None and streamed[1] >= candle.close_time else (candle.close, candle.close_time)
    )
    began = candle.close_time - timeframe(candle.timeframe).length
    return Sight(price, at, candle.low, candle.high, began, candle.close_time)


def _candles(instrument_ids: Collection[int]) -> dict[int, Candle]:
    """The candle of each market that closed last, of the shorter of those that closed together."""
    mine, ids = fast.among("id", sorted(instrument_ids))
    newest = [row for row in fast.tuples(_NEWEST.format(mine=mine), ids) if row[2] is not None]
    wanted = {(key, code): fast.utc(close) for key, code, close in newest}
    if not wanted:
        return {}
    chosen, parameters = fast.among("instrument_id", sorted({key for key, _ in wanted}))
    times, moments = fast.among(
        "close_time", [fast.prepared(Candle, "close_time", m) for m in sorted(set(wanted.values()))]
    )
    rows = fast.select(Candle, f"{chosen} AND {times} ORDER BY close_time, id", [*parameters, *moments])
    found: dict[int, Candle] = {}
    for row in rows:
        if wanted.get((row.instrument_id, row.timeframe)) != row.close_time:
            continue
        before = found.get(row.instrument_id)
        if before is None or _rank(row) > _rank(before):
            found[row.instrument_id] = row
    return found


def _rank(candle: Candle) -> tuple[datetime, int]:
    return candle.close_time, -_RANK[candle.timeframe]
