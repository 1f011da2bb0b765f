"""Old candles into packed files before they are let go, batch by batch; `manage.py candles import` reads them.

A file is named by what it holds, and is whole before it has its name: a run that died between the file and the deletion writes it again.
Candles in which nothing was traded are not in it.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

from signalist.markets.candle_files import write_out
from signalist.markets.models import Candle, Instrument


def archived(folder: Path, instrument: Instrument, code: str, keys: Sequence[int]) -> Path | None:
    """Write the candles with these primary keys, all of one instrument and timeframe; the file, None where there is nothing to write.
    Raises OSError: nothing is to be deleted then."""
    rows = Candle.objects.filter(pk__in=keys, is_synthetic=False)
    closes = rows.order_by("close_time").values_list("close_time", flat=True)
    first, last = closes.first(), closes.last()
    if first is None or last is None:
        return None
    text = io.StringIO()
    write_out(rows, text)
    market = f"{instrument.venue}-{instrument.symbol}".replace("/", "-")
    where = folder / market / code
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{first:%Y%m%dT%H%M%SZ}-{last:%Y%m%dT%H%M%SZ}.csv.gz"
    unnamed = path.with_suffix(".part")
    unnamed.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    unnamed.replace(path)
    return path
