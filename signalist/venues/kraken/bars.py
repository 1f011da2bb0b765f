"""Candles out of the stream's, which do not say when they are closed: one is when a later one has begun. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from signalist.domain.candles import Candle
from signalist.domain.timeframes import Timeframe
from signalist.venues.kraken.parse import FRAMES, instant, number
from signalist.venues.market_data import CandleUpdate


class Bars:
    """All that a connection tells. A candle without trades is not told at all: it shows as a gap."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, Timeframe], tuple[datetime, Candle]] = {}

    def take(self, rows: Sequence[Mapping[str, Any]], at: datetime | None = None) -> list[CandleUpdate]:
        """A message's rows, as candles in order: what was closed by them first. `at` is when Kraken said them."""
        return [bar for row in rows for bar in self._one(row, at)]

    def _one(self, row: Mapping[str, Any], at: datetime | None) -> list[CandleUpdate]:
        frame, begun, symbol = FRAMES[int(row["interval"])], instant(row["interval_begin"]), str(row["symbol"])
        prices = (number(row[name]) for name in ("open", "high", "low", "close", "volume"))
        candle = Candle(begun + frame.length, *prices).checked()
        before = self._running.get((symbol, frame))
        if before is not None and begun < before[0]:
            return [CandleUpdate(symbol, frame, candle, True, at)]  # a late word on one that is closed: it corrects it
        self._running[symbol, frame] = begun, candle
        told = [CandleUpdate(symbol, frame, candle, False, at)]
        if before is not None and begun > before[0]:
            told.insert(0, CandleUpdate(symbol, frame, before[1], True, at))
        return told

    def forget(self) -> None:
        """The connection has ended: the next begins with what the venue has stored."""
        self._running.clear()
