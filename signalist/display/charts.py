"""Charts as numbers for SVG: series in, path data and axis words out. Drawn by `templates/parts/chart.html`; no script is needed.

The plot is 1000 wide and 100 high and is stretched by the page; y grows downwards, as SVG has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

WIDTH, HEIGHT, MOST_POINTS = 1000.0, 100.0, 1000
BAR = 0.64
"""The share of its room that a bar takes."""
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

Point = tuple[datetime, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: path data of the line and of the area under it, and the class that draws it."""

    path: str
    area: str
    css: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws. `grid` are heights of grid lines in percent, `y` and `x` the axis words, first to last as they stand."""

    title: str
    lines: Sequence[Line]
    y: Sequence[str]
    x: Sequence[datetime]
    grid: Sequence[str]
    limits: Sequence[str] = field(default=())
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """Round values between which everything fits."""

    low: float
    high: float
    step: float

    def y(self, value: float) -> float:
        """Height of `value`, 0 at the top and 100 at the bottom."""
        return HEIGHT * (self.high - value) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round values from the top down."""
        count = round((self.high - self.low) / self.step)
        return [self.high - n * self.step for n in range(count + 1)]


def scale(values: Sequence[float], lines: int = 4) -> Scale:
    """At most `lines` + 1 round steps that hold all of `values`."""
    low, high = min(values), max(values)
    if high - low < 1e-12 * max(abs(high), 1e-9):
        margin = abs(high) * 0.01 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / lines
    magnitude = 10 ** math.floor(math.log10(rough))
    for factor in STEPS:
        step = factor * magnitude
        bottom = math.floor(low / step + 1e-9) * step
        top = math.ceil(high / step - 1e-9) * step
        if (top - bottom) / step <= lines + 1e-6:
            return Scale(bottom, top, step)
    step = 10 * magnitude * 2
    return Scale(math.floor(low / step) * step, math.ceil(high / step) * step, step)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most `most` points that keep every stretch's lowest and highest, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    buckets = most // 2
    kept: list[Point] = []
    for n in range(buckets):
        stretch = points[n * len(points) // buckets : (n + 1) * len(points) // buckets]
        low, high = min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])
        kept += sorted({low, high})
    kept[0], kept[-1] = points[0], points[-1]
    return kept


def chart(
    title: str,
    series: Sequence[tuple[Sequence[Point], str]],
    word: Callable[[float], str],
    *,
    marks: Sequence[float] = (),
    lines: int = 4,
    ceiling: float | None = None,
) -> Chart:
    """A chart of `series` (points, class), all on one scale. `word` writes a value of the y axis, `marks` are dashed lines.

    `ceiling` is the value at the top edge (0 for a drawdown, which hangs down from it).
    """
    drawn = [(thinned(points), css) for points, css in series if len(points) > 1]
    if not drawn:
        return Chart(title, (), (), (), (), empty=True)
    values = [value for points, _ in drawn for _, value in points] + list(marks)
    if ceiling is not None:
        values.append(ceiling)
    fits = scale(values, lines)
    begin = min(points[0][0] for points, _ in drawn)
    end = max(points[-1][0] for points, _ in drawn)
    return Chart(
        title,
        [_line(points, css, fits, begin, end) for points, css in drawn],
        [word(value) for value in fits.ticks],
        [begin + (end - begin) * n / 4 for n in range(5)],
        [f"{100 * n / (len(fits.ticks) - 1):.2f}%" for n in range(len(fits.ticks))],
        [f"{fits.y(value):.2f}%" for value in marks],
    )


def bar_chart(title: str, points: Sequence[Point], word: Callable[[float], str], *, lines: int = 2) -> Chart:
    """A chart of values above zero as bars that stand on it, one for each point, evenly spaced."""
    if len(points) < 2:
        return Chart(title, (), (), (), (), empty=True)
    fits = scale([0.0, *(value for _, value in points)], lines)
    room = WIDTH / len(points)
    wide = room * BAR
    drawn = "".join(
        f"M{room * (n + 0.5) - wide / 2:.1f} {HEIGHT:.0f}V{fits.y(value):.2f}h{wide:.1f}V{HEIGHT:.0f}z"
        for n, (_, value) in enumerate(points)
        if value > 0
    )
    return Chart(
        title,
        [Line("", drawn, "bars")],
        [word(value) for value in fits.ticks],
        [points[round(n * (len(points) - 1) / 4)][0] for n in range(5)],
        [f"{100 * n / (len(fits.ticks) - 1):.2f}%" for n in range(len(fits.ticks))],
        (),
    )


def _line(points: Sequence[Point], css: str, fits: Scale, begin: datetime, end: datetime) -> Line:
    span = (end - begin).total_seconds() or 1.0
    spots = [f"{WIDTH * (moment - begin).total_seconds() / span:.1f} {fits.y(value):.2f}" for moment, value in points]
    base = fits.y(0.0) if fits.high <= 0 or fits.low >= 0 > fits.high else HEIGHT
    if fits.high <= 0:
        base = 0.0
    first, last = spots[0].split()[0], spots[-1].split()[0]
    path = "M" + "L".join(spots)
    return Line(path, f"{path}L{last} {base:.1f}L{first} {base:.1f}Z", css)


def spark(values: Sequence[float]) -> str:
    """Path data of a small line without axes, evenly spaced; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    spots = [
        f"{WIDTH * n / (len(values) - 1):.0f} {HEIGHT - 4 - 92 * (value - low) / span:.1f}"
        for n, value in enumerate(values)
    ]
    return "M" + "L".join(spots)


def drawdown(points: Sequence[Point]) -> list[Point]:
    """How far below its running peak a line of positive values is, as a fraction from 0 down."""
    found, peak = [], -math.inf
    for moment, value in points:
        peak = max(peak, value)
        found.append((moment, value / peak - 1 if peak > 0 else 0.0))
    return found
