"""What is done to the market's rows from time to time: candles are kept as long as the operator says, timeframe by timeframe.

Ten-second candles, which only the synthetic market has, are kept for two days; of the others none is let go unless
`SIGNALIST_CANDLE_DAYS` says so, or staff (`adjusting`), and where `SIGNALIST_CANDLE_ARCHIVE` names a folder each batch is in a file there
before it goes. What was corrected is kept for ninety days.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, OuterRef

from signalist.db import retention
from signalist.domain.timeframes import TIMEFRAMES
from signalist.markets.adjusting import FOR_EVER, adjusted
from signalist.markets.candle_archive import archived
from signalist.markets.feed_models import CandleCorrection
from signalist.markets.models import Candle, Instrument, LatestPrice
from signalist.markets.stream_models import StreamSession

SHORT_LIVED = "10s"


def market_time(now: datetime) -> datetime:
    """`now`, or the time of the newest price where that is earlier: what is old in a recorded market is old by its own time."""
    newest = LatestPrice.objects.order_by("-at").values_list("at", flat=True).first()
    return now if newest is None else min(now, newest)


def retire_streams(now: datetime) -> int:
    """Delete the records of clients' sockets that were opened longer ago than they are kept; how many. Needs the door across tenants."""
    ends = now - timedelta(days=adjusted("keep.streams"))
    return retention.delete(StreamSession.objects.filter(opened_at__lt=ends).order_by("opened_at"))


def retire_candles(now: datetime) -> int:
    """Delete the candles that are older than they are kept, at the market time `now`; returns how many. What else knows of them (runs,
    signals, trades) names their times and stays."""
    deleted = 0
    kept = {frame.code: adjusted(f"keep.{frame.code}") for frame in TIMEFRAMES}
    # A venue may list thousands, of which few are fed.
    fed = Exists(Candle.objects.filter(instrument=OuterRef("pk")))
    for instrument in Instrument.objects.filter(fed).order_by("pk"):
        for code, days in kept.items():
            if days == FOR_EVER:
                continue
            ends = now - timedelta(days=days)
            old = Candle.objects.filter(instrument=instrument, timeframe=code, close_time__lt=ends)
            keeping = partial(archived, Path(settings.CANDLE_ARCHIVE), instrument, code)
            wanted = settings.CANDLE_ARCHIVE and code != SHORT_LIVED
            deleted += retention.delete(old.order_by("close_time"), before=keeping if wanted else None)
    ends = now - timedelta(days=adjusted("keep.corrections"))
    return deleted + retention.delete(CandleCorrection.objects.filter(at__lt=ends).order_by("at"))
