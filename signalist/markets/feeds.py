"""Where market data enters: the one writer of candles and latest prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.db.units import statement_unit
from signalist.db.wakes import ring_on_commit
from signalist.domain.candles import Candle
from signalist.domain.timeframes import Timeframe
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.markets import models as rows


@dataclass(frozen=True, slots=True)
class ClosedCandle:
    """A candle that its venue has closed for good."""

    instrument_id: int
    frame: Timeframe
    candle: Candle


@dataclass(frozen=True, slots=True)
class Price:
    """A price that the market made at `at`."""

    instrument_id: int
    price: Decimal
    at: datetime


def take_candles(closed: Sequence[ClosedCandle], prices: Sequence[Price]) -> None:
    """Store closed candles and the prices seen with them. One that is there already is left as it is: a candle closes once."""
    candles = [
        fast.new(
            rows.Candle,
            instrument_id=c.instrument_id,
            timeframe=c.frame.code,
            close_time=c.candle.close_time,
            open=c.candle.open,
            high=c.candle.high,
            low=c.candle.low,
            close=c.candle.close,
            volume=c.candle.volume,
        )
        for c in closed
    ]
    with statement_unit("feed.candles"):
        fast.write_together(
            fast.Insert(candles, "ON CONFLICT DO NOTHING"),
            _latest(prices),
            outbox.prepared([_closed(c) for c in closed]),
        )
        ring_on_commit("prices")


def take_prices(prices: Sequence[Price]) -> None:
    """Store the newest prices."""
    with statement_unit("feed.prices"):
        fast.write_together(_latest(prices))
        ring_on_commit("prices")


def _latest(prices: Sequence[Price]) -> fast.Insert:
    latest = [fast.new(rows.LatestPrice, instrument_id=p.instrument_id, price=p.price, at=p.at) for p in prices]
    return fast.Insert(latest, "ON CONFLICT (instrument_id) DO UPDATE SET price = excluded.price, at = excluded.at")


def _closed(closed: ClosedCandle) -> Fact:
    payload = {"instrument": closed.instrument_id, "timeframe": closed.frame.code, "close": str(closed.candle.close)}
    return Fact("candle_closed", None, closed.candle.close_time, payload)
