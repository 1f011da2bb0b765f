"""What is done to the market's rows from time to time: candles are kept as long as the operator says, timeframe by timeframe.

Ten-second candles, which only the synthetic market has, are kept for two days; of the others none is let go unless
`SIGNALIST_CANDLE_DAYS` says so, and where `SIGNALIST_CANDLE_ARCHIVE` names a folder each batch is in a file there before it goes. What was
corrected is kept for ninety days.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, OuterRef

from signalist.db import retention
from signalist.markets.candle_archive import archived
from signalist.markets.feed_models import CandleCorrection
from signalist.markets.models import Candle, Instrument, LatestPrice

SHORT_LIVED = "10s"
KEPT = timedelta(days=2)
CORRECTIONS_KEPT = timedelta(days=90)


def market_time(now: datetime) -> datetime:
    """`now`, or the time of the newest price where that is earlier: what is old in a recorded market is old by its own time."""
    newest = LatestPrice.objects.order_by("-at").values_list("at", flat=True).first()
    return now if newest is None else min(now, newest)


def retire_candles(now: datetime) -> int:
    """Delete the candles that are older than they are kept, at the market time `now`; returns how many. What else knows of them (runs,
    signals, trades) names their times and stays."""
    deleted = 0
    kept = {SHORT_LIVED: KEPT} | {code: timedelta(days=days) for code, days in settings.CANDLE_DAYS.items()}
    # A venue may list thousands, of which few are fed.
    fed = Exists(Candle.objects.filter(instrument=OuterRef("pk")))
    for instrument in Instrument.objects.filter(fed).order_by("pk"):
        for code, span in kept.items():
            old = Candle.objects.filter(instrument=instrument, timeframe=code, close_time__lt=now - span)
            keeping = partial(archived, Path(settings.CANDLE_ARCHIVE), instrument, code)
            wanted = settings.CANDLE_ARCHIVE and code != SHORT_LIVED
            deleted += retention.delete(old.order_by("close_time"), before=keeping if wanted else None)
    return deleted + retention.delete(CandleCorrection.objects.filter(at__lt=now - CORRECTIONS_KEPT).order_by("at"))
