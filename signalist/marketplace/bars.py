"""Results by day as bars for SVG, on a plot 1000 wide and 100 high that the page stretches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from signalist.domain.money import ZERO

WIDTH, HEIGHT = 1000.0, 100.0
MOST_WIDE = 80.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle; `css` is its class."""

    x: str
    y: str
    width: str
    height: str
    css: str


@dataclass(frozen=True, slots=True)
class DayBars:
    """The bars, oldest first, and the height of zero."""

    bars: tuple[Bar, ...]
    zero: str
    high: Decimal
    low: Decimal
    first: date
    last: date
    best: Decimal
    worst: Decimal


def day_bars(results: Sequence[tuple[date, Decimal]]) -> DayBars | None:
    """Bars up for gains and down for losses, on one scale; days without a result leave a gap. None without any day."""
    if not results:
        return None
    best, worst = max(net for _, net in results), min(net for _, net in results)
    high, low = max(float(best), 0.0), min(float(worst), 0.0)
    span = (high - low) or 1.0
    first, last = results[0][0], results[-1][0]
    step = min(WIDTH / ((last - first).days + 1), MOST_WIDE)

    def y(value: float) -> float:
        return HEIGHT * (high - value) / span

    bars = []
    for day, net in results:
        value = float(net)
        top = min(y(value), y(0.0))
        height = max(abs(y(value) - y(0.0)), 0.5)
        x = step * (day - first).days + step * 0.1
        bars.append(Bar(f"{x:.1f}", f"{top:.2f}", f"{step * 0.8:.1f}", f"{height:.2f}", "up" if value >= 0 else "down"))
    return DayBars(tuple(bars), f"{y(0.0):.2f}%", max(best, ZERO), min(worst, ZERO), first, last, best, worst)
