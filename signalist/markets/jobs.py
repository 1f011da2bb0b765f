"""What is done to the market's rows from time to time: ten-second candles, which only the synthetic market has, are kept for two days."""

from __future__ import annotations

from datetime import datetime, timedelta

from signalist.db import retention
from signalist.markets.models import Candle, Instrument, LatestPrice

SHORT_LIVED = "10s"
KEPT = timedelta(days=2)


def market_time(now: datetime) -> datetime:
    """`now`, or the time of the newest price where that is earlier: what is old in a recorded market is old by its own time."""
    newest = LatestPrice.objects.order_by("-at").values_list("at", flat=True).first()
    return now if newest is None else min(now, newest)


def retire_candles(now: datetime) -> int:
    """Delete the ten-second candles that are older than two days at the market time `now`; returns how many. Longer ones stay."""
    deleted = 0
    for key in Instrument.objects.order_by("pk").values_list("pk", flat=True):
        old = Candle.objects.filter(instrument=key, timeframe=SHORT_LIVED, close_time__lt=now - KEPT)
        deleted += retention.delete(old.order_by("close_time"))
    return deleted
