"""Candles from files into the books and back, and where there are holes in what is stored."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from django.db.models import QuerySet

from signalist.domain.candles import Candle
from signalist.domain.money import plain
from signalist.domain.timeframes import TIMEFRAMES, Timeframe, timeframe
from signalist.markets import models as rows
from signalist.markets.settling import Told, settle_candles

AT_ONCE = 400
HEADER = ("close_time", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the candles of a file: `differ` are there with other values, and were corrected or left as they were."""

    read: int
    new: int
    same: int
    differ: int


@dataclass(frozen=True, slots=True)
class Gap:
    """The closes from `first` to `last`, both included, are missing: so many candles."""

    instrument: str
    timeframe: str
    first: datetime
    last: datetime
    candles: int


def instrument_named(name: str) -> rows.Instrument:
    """The instrument called `venue:symbol`, or by a symbol that one venue has. Raises LookupError with a sentence that says what to do."""
    venue, _, symbol = name.rpartition(":")
    found = list(
        rows.Instrument.objects.filter(symbol=symbol, **({"venue": venue} if venue else {})).order_by("pk")[:3]
    )
    if len(found) == 1:
        return found[0]
    if found:
        raise LookupError(f"Several venues have {name!r}; say which: {', '.join(map(str, found))}.")
    known = ", ".join(map(str, rows.Instrument.objects.order_by("venue", "symbol")[:8])) or "none yet"
    raise LookupError(f"There is no instrument {name!r}; there are {known}.")


def take_in(
    instrument: rows.Instrument, frame: Timeframe, candles: Sequence[Candle], now: datetime, *, correct: bool
) -> Imported:
    """Store candles of a file, in short transactions; with the higher timeframes that they complete. Nobody is told of a close: they are
    of the past. With `correct` those that differ from what is stored are corrected, which is recorded."""
    new = same = differ = 0
    for start in range(0, len(candles), AT_ONCE):
        told = [Told(instrument.pk, frame, candle) for candle in candles[start : start + AT_ONCE]]
        outcome = settle_candles(told, (), now, correct=correct, tell=False)
        new += outcome.new[instrument.pk]
        same += outcome.same[instrument.pk]
        differ += outcome.corrected[instrument.pk]
    return Imported(len(candles), new, same, differ)


def write_out(candles: QuerySet[rows.Candle], to: TextIO) -> int:
    """Write candles as CSV that `import` and `replay` read; returns how many."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(HEADER)
    count = 0
    for row in candles.order_by("close_time").iterator(chunk_size=2000):
        numbers = (plain(getattr(row, name)) for name in HEADER[1:])
        writer.writerow([row.close_time.strftime("%Y-%m-%dT%H:%M:%SZ"), *numbers])
        count += 1
    return count


def gaps(instruments: Sequence[rows.Instrument], codes: Sequence[str] = ()) -> Iterator[Gap]:
    """The holes in what is stored, between the first and the last candle of each instrument and timeframe, oldest first."""
    for instrument in instruments:
        mine = rows.Candle.objects.filter(instrument=instrument)
        there = set(mine.order_by("timeframe").values_list("timeframe", flat=True).distinct())
        for code in (frame.code for frame in TIMEFRAMES if frame.code in there and (not codes or frame.code in codes)):
            yield from _holes(str(instrument), timeframe(code), mine.filter(timeframe=code))


def _holes(name: str, frame: Timeframe, candles: QuerySet[rows.Candle]) -> Iterator[Gap]:
    before: datetime | None = None
    for close in candles.order_by("close_time").values_list("close_time", flat=True).iterator(chunk_size=5000):
        if before is not None and close - before > frame.length:
            first, last = before + frame.length, close - frame.length
            yield Gap(name, frame.code, first, last, round((last - first) / frame.length) + 1)
        before = close
