"""The line of equity as the page draws it: two charts over one time, and the same points as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalist.dashboard.equity import Points
from signalist.display.charts import Chart, chart, drawdown
from signalist.display.numbers import number, percent

ROWS = 48
DAYS = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `change` is against the row before in time, `below` a fraction from 0 down."""

    at: datetime
    equity: float
    change: float | None
    below: float


@dataclass(frozen=True, slots=True)
class EquityChart:
    """Equity and its drawdown. `worst` is the deepest point below a peak within the period, None where nothing is drawn."""

    line: Chart
    below: Chart
    first: float | None
    last: float | None
    peak: float | None
    worst: float | None
    begins: datetime | None
    ends: datetime | None
    rows: tuple[Row, ...]

    @property
    def empty(self) -> bool:
        return self.line.empty

    @property
    def x_form(self) -> str:
        """How the words of the time axis are written: times of the day, or days."""
        return "short" if self.begins is None or self.ends is None or self.ends - self.begins <= DAYS else "day"


def drawn(points: Points, currency: str, period: str) -> EquityChart:
    """Charts and table of `points`, which are in `currency`."""
    lows = drawdown(points)
    if len(points) < 2:
        nothing = chart("", (), str)
        return EquityChart(nothing, nothing, None, None, None, None, None, None, ())
    values = [value for _, value in points]
    worst, peak = min(value for _, value in lows), max(values)
    places = 0 if peak - min(values) > 20 else 2
    title = (
        f"Equity, {period}: from {number(values[0], 2)} to {number(values[-1], 2)} {currency}; peak {number(peak, 2)}"
    )
    return EquityChart(
        chart(title, [(points, "")], lambda value: number(value, places), marks=[peak]),
        chart(f"Drawdown, {period}: worst {percent(worst)}", [(lows, "loss")], _short_percent, lines=2, ceiling=0.0),
        values[0],
        values[-1],
        peak,
        worst,
        points[0][0],
        points[-1][0],
        _rows(points, lows),
    )


def _short_percent(fraction: float) -> str:
    return percent(fraction, 2 if abs(fraction) < 0.01 else 1) if fraction else "0%"


def _rows(points: Points, lows: Sequence[tuple[datetime, float]]) -> tuple[Row, ...]:
    """At most forty-eight lines, evenly over the period, the newest first."""
    step = max(len(points) // ROWS, 1)
    chosen = sorted({*range(len(points) - 1, -1, -step)})
    found = []
    for earlier, n in zip([None, *chosen], chosen, strict=False):
        change = None if earlier is None else points[n][1] - points[earlier][1]
        found.append(Row(points[n][0], points[n][1], change, lows[n][1]))
    return tuple(reversed(found))
