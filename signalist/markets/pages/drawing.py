"""The drawings of one instrument's page: candles with lines, levels and marks, for the server's chart and the script; and those below."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from signalist.display import numbers
from signalist.display.candle_chart import Bar, CandleChart, Level, Mark, Overlay, candle_chart
from signalist.display.charts import Chart, bar_chart
from signalist.display.charts import chart as line_chart
from signalist.domain.candles import Candle
from signalist.domain.timeframes import timeframe
from signalist.markets.adjusting import adjusted
from signalist.markets.indicators import Worked
from signalist.markets.models import Instrument
from signalist.trading.passages import Passage

STYLES = ("", "two", "three")


def overlays(lines: Sequence[Worked]) -> list[Overlay]:
    """The lines over the prices; an indicator's own look alike."""
    over = [each for each in lines if each.indicator.is_over_prices]
    return [
        Overlay(word, STYLES[number % len(STYLES)], [float(value) for value in values])
        for number, each in enumerate(over)
        for word, values in each.lines.items()
    ]


def below(candles: Sequence[Candle], lines: Sequence[Worked]) -> list[tuple[str, Chart]]:
    """Volume, and a chart for each indicator with a scale of its own, by the element's id."""
    times = [candle.close_time for candle in candles]
    volumes = [(candle.close_time, float(candle.volume)) for candle in candles]
    found = [("volume", bar_chart("Volume", volumes, _word))]
    for each in lines:
        if not each.indicator.is_over_prices:
            marks = (
                (float(adjusted("level.rsi_low")), float(adjusted("level.rsi_high")))
                if each.indicator.kind == "rsi"
                else ()
            )
            found += [
                (each.indicator.key.replace(":", "-"), _small(word, times, values, marks))
                for word, values in each.lines.items()
            ]
    return found


def _small(word: str, times: Sequence[datetime], values: Iterable[float], marks: Sequence[float] = ()) -> Chart:
    points = [(moment, float(value)) for moment, value in zip(times, values, strict=True) if not math.isnan(value)]
    return line_chart(word, [(points, "")], _word, marks=marks, lines=2)


@dataclass(frozen=True, slots=True)
class Drawing:
    """The chart of `candles` with what the tenant did there. `is_newest`: the last of them is the newest that there is; else prices of the
    present, and what would end open positions, are not drawn in it."""

    instrument: Instrument
    code: str
    candles: Sequence[Candle]
    passages: Sequence[Passage]
    overlays: Sequence[Overlay]
    is_newest: bool

    def drawn(self) -> CandleChart:
        """As the server draws it."""
        instrument, candles = self.instrument, self.candles
        bars = [Bar(c.close_time, float(c.open), float(c.high), float(c.low), float(c.close)) for c in candles]
        title = f"{instrument.symbol}, {self.code} candles"
        if candles:
            low, high = min(c.low for c in candles), max(c.high for c in candles)
            said = (numbers.price(value, instrument.tick) for value in (candles[0].open, candles[-1].close, low, high))
            title = "{}: from {} to {} {quote}, lowest {}, highest {}".format(title, *said, quote=instrument.quote)
        places = numbers.places_of(instrument.tick)
        return candle_chart(
            title, bars, lambda value: numbers.number(value, places), self._levels(), self._marks(), self.overlays
        )

    def data(self) -> dict[str, Any]:
        """The same for the script. Times are epoch seconds of the candles' opens, as charting libraries name candles."""
        length = timeframe(self.code).seconds

        def opened(moment: datetime) -> int:
            """When the candle opened in which `moment` lies; a moment on the boundary belongs to the candle that closes there."""
            seconds = moment.timestamp()
            return int(-(-seconds // length) * length) - length

        first = opened(self.candles[0].close_time)
        return {
            "seconds": length,
            "places": numbers.places_of(self.instrument.tick),
            "tick": float(self.instrument.tick),
            "follows": self.is_newest,
            "candles": [
                [opened(c.close_time), float(c.open), float(c.high), float(c.low), float(c.close)] for c in self.candles
            ],
            "levels": [[level.price, level.word, level.css.removeprefix("c-")] for level in self._levels()],
            "lines": [
                [each.word, each.css, [None if math.isnan(value) else value for value in each.values]]
                for each in self.overlays
            ],
            "marks": [[opened(m.at), m.shape, m.number] for m in self._marks() if opened(m.at) >= first],
        }

    def _levels(self) -> list[Level]:
        return _levels(self.passages) if self.is_newest else []

    def _marks(self) -> list[Mark]:
        """What happened after the last candle stands at it only where that is the newest."""
        marks = _marks(self.passages)
        return marks if self.is_newest else [mark for mark in marks if mark.at <= self.candles[-1].close_time]


def _word(value: float) -> str:
    return f"{value:,.4g}"


def _levels(passages: Sequence[Passage]) -> list[Level]:
    """Where open positions were entered and would end."""
    found = []
    for number, passage in enumerate(passages, 1):
        if passage.is_open:
            prices = (("stop", passage.stop), ("target", passage.target), ("entry", passage.entry_price))
            found += [
                Level(float(price), f"{kind.capitalize()} {number}", f"c-{kind}")
                for kind, price in prices
                if price is not None
            ]
    return found


def _marks(passages: Sequence[Passage]) -> list[Mark]:
    """Entries and exits, numbered as in the list: a triangle in the direction of the entry, a square for the exit."""
    found = []
    for number, passage in enumerate(passages, 1):
        shape = "up" if passage.direction == "LONG" else "down"
        found.append(Mark(passage.entry_at, float(passage.entry_price), shape, number))
        if passage.exit_at is not None and passage.exit_price is not None:
            found.append(Mark(passage.exit_at, float(passage.exit_price), "square", number))
    return found
