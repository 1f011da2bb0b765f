"""Reads of the market: prices, rates and the window of candles that a strategy is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from signalist.db import fast
from signalist.db.kept import Kept
from signalist.domain.candles import Candle, CandleArrays, Numbers, numbers
from signalist.domain.timeframes import Timeframe
from signalist.markets import models as rows

WINDOW_SLACK = 256

Shown = tuple[CandleArrays, Candle]
"""What a strategy is shown at a close: the window as arrays, and its newest candle."""


_instruments = Kept(lambda ids: fast.select_ids(rows.Instrument, ids))


def instruments(ids: Iterable[int]) -> Mapping[int, rows.Instrument]:
    """Instruments by id, kept for a minute or until `forget_instruments`."""
    return _instruments.of(ids)


def forget_instruments() -> None:
    """Read instruments anew from now on: a venue may have changed its rules."""
    _instruments.forget()


def latest_prices(instrument_ids: Iterable[int]) -> dict[int, tuple[Decimal, datetime]]:
    """The newest price of each instrument that has one, and when it was made."""
    ids = sorted(instrument_ids)
    if not ids:
        return {}
    found = fast.select(rows.LatestPrice, *fast.among("instrument_id", ids))
    return {price.instrument_id: (price.price, price.at) for price in found}


def rate(base: str, quote: str, at: datetime) -> Decimal | None:
    """Units of `quote` for one `base` by the newest dated rate at or before `at`, in either direction; None without one."""
    if base == quote:
        return Decimal(1)
    direct = _newest_rate(base, quote, at)
    if direct is not None:
        return direct
    inverse = _newest_rate(quote, base, at)
    return None if inverse is None else 1 / inverse


def _newest_rate(base: str, quote: str, at: datetime) -> Decimal | None:
    moment = fast.prepared(rows.FxRate, "at", at)
    dated = "base = %s AND quote = %s AND at <= %s ORDER BY at DESC LIMIT 1"
    found = fast.select(rows.FxRate, dated, [base, quote, moment])
    return found[0].rate if found else None


class CandleWindow:
    """The newest candles of one instrument and timeframe, kept in memory between closes and reloaded after any break."""

    def __init__(self, instrument_id: int, frame: Timeframe, bars: int) -> None:
        self._instrument_id, self._frame, self._bars = instrument_id, frame, bars
        self._candles: list[Candle] = []
        self._numbers: list[Numbers] = []

    def at(self, close: datetime) -> Shown | None:
        """The `bars` candles up to the one that closed at `close`, and that one; None when it is not there."""
        newest = self._candles[-1].close_time if self._candles else None
        if newest is None or newest > close:
            self._reload(close)
        elif newest < close:
            self._extend(newest, close)
        if not self._candles or self._candles[-1].close_time != close:
            return None
        return CandleArrays.of_numbers(self._numbers[-self._bars :]), self._candles[-1]

    def covers(self, instrument_id: int, frame: Timeframe) -> bool:
        """Whether this is a window on that instrument and timeframe."""
        return self._instrument_id == instrument_id and self._frame == frame

    def saw(self, candle: Candle) -> None:
        """Take the candle that was stored just now, where it follows the newest; the feed is the one writer, so nothing lies between."""
        if self._candles and self._candles[-1].close_time < candle.close_time:
            self._append([candle])

    def _extend(self, newest: datetime, close: datetime) -> None:
        found = self._stored(
            "close_time > %s AND close_time <= %s ORDER BY close_time", WINDOW_SLACK + 1, newest, close
        )
        fresh = [candle.value() for candle in found]
        if len(fresh) > WINDOW_SLACK:
            self._reload(close)
            return
        self._append(fresh)

    def _append(self, fresh: Sequence[Candle]) -> None:
        self._candles += fresh
        self._numbers += map(numbers, fresh)
        if len(self._candles) > self._bars + WINDOW_SLACK:
            self._candles, self._numbers = self._candles[-self._bars :], self._numbers[-self._bars :]

    def _reload(self, close: datetime) -> None:
        found = self._stored("close_time <= %s ORDER BY close_time DESC", self._bars, close)
        self._candles, self._numbers = [], []
        self._append([candle.value() for candle in reversed(found)])

    def _stored(self, condition: str, limit: int, *moments: datetime) -> list[rows.Candle]:
        times = [fast.prepared(rows.Candle, "close_time", moment) for moment in moments]
        return fast.select(
            rows.Candle,
            f"instrument_id = %s AND timeframe = %s AND {condition} LIMIT %s",
            [self._instrument_id, self._frame.code, *times, limit],
        )
