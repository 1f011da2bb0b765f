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
            latest(prices),
            outbox.prepared([closed_fact(c.instrument_id, c.frame, c.candle) for c in closed]),
        )
        ring_on_commit("prices")


def take_prices(prices: Sequence[Price]) -> None:
    """Store the newest prices."""
    with statement_unit("feed.prices"):
        fast.write_together(latest(prices))
        ring_on_commit("prices")


def latest(prices: Sequence[Price]) -> fast.Insert:
    """The newest prices as rows to insert, for `write_together`."""
    newest = [fast.new(rows.LatestPrice, instrument_id=p.instrument_id, price=p.price, at=p.at) for p in prices]
    return fast.Insert(newest, "ON CONFLICT (instrument_id) DO UPDATE SET price = excluded.price, at = excluded.at")


def closed_fact(instrument_id: int, frame: Timeframe, candle: Candle) -> Fact:
    """What is told of a candle that closed."""
    payload = {"instrument": instrument_id, "timeframe": frame.code, "close": str(candle.close)}
    return Fact("candle_closed", None, candle.close_time, payload)
