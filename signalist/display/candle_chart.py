"""Candles as numbers for SVG: bars, price levels and marks in, path data and percent positions out.

Drawn by `templates/markets/candles.html`. Bodies and wicks of one colour are one path each, on a plot 1000 wide and 100 high that the page
stretches; levels and marks keep their size, so they stand at percents of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .charts import HEIGHT, WIDTH, Scale, scale

BODY = 0.64
"""The share of a bar's room that its body takes."""
LINES = 7
THINNEST = 0.35
"""A body that opened and closed at one price is this high, so that it can be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A closed candle, named by its close time (aware UTC)."""

    at: datetime
    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: a price, what it is in a word, and the class that draws it."""

    price: float
    word: str
    css: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time and a price. `shape` is up, down (triangles) or square; `number` is that of the list below."""

    at: datetime
    price: float
    shape: str
    number: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """A line over the bars: what it is in words, the class that draws it, and a value for each bar, nan where there is none."""

    word: str
    css: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line as path data."""

    word: str
    css: str
    path: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A level or a mark where it is drawn, in percent of the plot."""

    x: str
    y: str
    word: str
    css: str


@dataclass(frozen=True, slots=True)
class CandleChart:
    """What the template draws. `y` and `x` are the axis words, `beyond` the levels that lie too far off to be drawn."""

    title: str
    rise: str = ""
    fall: str = ""
    rise_wicks: str = ""
    fall_wicks: str = ""
    y: Sequence[str] = ()
    x: Sequence[datetime] = ()
    grid: Sequence[str] = ()
    levels: Sequence[Placed] = ()
    marks: Sequence[Placed] = ()
    beyond: Sequence[Level] = field(default=())
    lines: Sequence[DrawnLine] = field(default=())

    @property
    def empty(self) -> bool:
        return not self.y


def candle_chart(
    title: str,
    bars: Sequence[Bar],
    word: Callable[[float], str],
    levels: Sequence[Level] = (),
    marks: Sequence[Mark] = (),
    overlays: Sequence[Overlay] = (),
) -> CandleChart:
    """The chart of `bars` (oldest first). A level farther off than the bars' own height is not drawn: it would flatten them; nor is the
    part of an overlay that is."""
    if not bars:
        return CandleChart(title)
    low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
    reach = (high - low) or high * 0.01
    near = [level for level in levels if low - reach <= level.price <= high + reach]
    lying = [value for each in overlays for value in each.values if low - reach <= value <= high + reach]
    fits = scale([low, high, *(level.price for level in near), *lying], LINES)
    rising = [(n, bar) for n, bar in enumerate(bars) if bar.close >= bar.open]
    falling = [(n, bar) for n, bar in enumerate(bars) if bar.close < bar.open]
    ticks = fits.ticks
    return CandleChart(
        title,
        _bodies(rising, len(bars), fits),
        _bodies(falling, len(bars), fits),
        _wicks(rising, len(bars), fits),
        _wicks(falling, len(bars), fits),
        [word(value) for value in ticks],
        [bars[round(n * (len(bars) - 1) / 4)].at for n in range(5)],
        [f"{100 * n / (len(ticks) - 1):.2f}%" for n in range(len(ticks))],
        [Placed("100%", f"{fits.y(level.price):.2f}%", level.word, level.css) for level in near],
        _marks(marks, bars, fits),
        [level for level in levels if level not in near],
        [DrawnLine(each.word, each.css, _path(each.values, fits)) for each in overlays],
    )


def _path(values: Sequence[float], fits: Scale) -> str:
    """A line from bar to bar; it begins anew after a bar without a value, or with one that lies out of the picture."""
    parts, pen = [], "M"
    for n, value in enumerate(values):
        if fits.low <= value <= fits.high:
            parts.append(f"{pen}{_middle(n, len(values)):.1f} {fits.y(value):.2f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def _middle(n: int, count: int) -> float:
    return WIDTH * (n + 0.5) / count


def _bodies(numbered: Sequence[tuple[int, Bar]], count: int, fits: Scale) -> str:
    wide = WIDTH / count * BODY
    parts = []
    for n, bar in numbered:
        top, bottom = fits.y(max(bar.open, bar.close)), fits.y(min(bar.open, bar.close))
        high = max(bottom - top, THINNEST)
        parts.append(f"M{_middle(n, count) - wide / 2:.1f} {top:.2f}h{wide:.1f}v{high:.2f}h-{wide:.1f}z")
    return "".join(parts)


def _wicks(numbered: Sequence[tuple[int, Bar]], count: int, fits: Scale) -> str:
    return "".join(f"M{_middle(n, count):.1f} {fits.y(bar.high):.2f}V{fits.y(bar.low):.2f}" for n, bar in numbered)


def _marks(marks: Sequence[Mark], bars: Sequence[Bar], fits: Scale) -> list[Placed]:
    """The marks at the bar in which they happened; those before the first bar are left out, those behind the last stand at it."""
    times = [bar.at for bar in bars]
    # Where one candle ends another begins, so the room before the first close is as long as that before the second.
    begin = times[0] - (times[1] - times[0]) if len(times) > 1 else times[0]
    placed = []
    for mark in marks:
        if mark.at <= begin:
            continue
        n = min(bisect_left(times, mark.at), len(bars) - 1)
        y = min(max(fits.y(mark.price), 0.0), HEIGHT)
        placed.append(Placed(f"{_middle(n, len(bars)) / 10:.2f}%", f"{y:.2f}%", str(mark.number), mark.shape))
    return placed
