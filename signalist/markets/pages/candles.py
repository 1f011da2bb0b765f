"""What the page of one instrument shows: the chart of a timeframe with the tenant's own trades, the same for a script, and the list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static

from signalist.display import numbers
from signalist.display.candle_chart import Bar, CandleChart, Level, Mark, Overlay, candle_chart
from signalist.display.charts import Chart
from signalist.display.charts import chart as line_chart
from signalist.domain.candles import Candle
from signalist.domain.conditions import Condition, condition_bars
from signalist.domain.timeframes import timeframe
from signalist.markets.history import newest, spans
from signalist.markets.indicators import OFFERED, Indicator, Worked, chosen, how_it_goes, needed, worked
from signalist.markets.models import Instrument
from signalist.markets.overview import LATELY, last_prices
from signalist.trading.passages import Passage, own_passages

BARS = 120
SPANS = (60, 120, 240, 480)
"""How many candles a reader may have shown."""
STYLES = ("", "two", "three")
CONDITION_BARS = condition_bars()
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LIBRARY = "lightweight-charts/lightweight-charts.standalone.production.js"


def shown(
    instrument: Instrument, asked: str, now: datetime, indicators: Sequence[Indicator] = (), bars: int = BARS
) -> dict[str, Any]:
    """The context of the page but for who runs on the instrument. `asked` is the timeframe that the reader chose, if any, `bars` how many
    candles; `indicators` are drawn over them and below them."""
    known = spans([instrument.pk], BEGINNING).get(instrument.pk, [])
    codes = [span.code for span in known]
    code = asked if asked in codes else _usual(codes)
    count = bars if bars in SPANS else BARS
    stored = newest(instrument.pk, code, max(count + needed(indicators), CONDITION_BARS)) if code else []
    candles = stored[-count:]
    lines = worked(indicators, stored, len(candles)) if candles else []
    begins = candles[0].close_time - timeframe(code).length if candles else now - LATELY
    passages = own_passages(instrument.pk, begins)
    last = last_prices([instrument.pk], now).get(instrument.pk)
    overlays = _overlays(lines)
    return {
        "codes": codes,
        "code": code,
        "candles": candles,
        "bars": count,
        "bar_counts": SPANS,
        "offered": [(each, each.key in {i.key for i in indicators}) for each in _offered(indicators)],
        "condition": how_it_goes(stored) if stored else Condition.UNKNOWN,
        "below": _below(candles, lines),
        "passages": list(enumerate(passages, 1)),
        "open": [passage for passage in passages if passage.is_open],
        "last": last,
        "chart": _drawn(instrument, code, candles, passages, overlays),
        "data": _data(instrument, code, candles, passages, overlays) if candles else None,
        "library": library(),
    }


def _offered(indicators: Sequence[Indicator]) -> list[Indicator]:
    """What can be ticked: the usual ones, and those of another period that are shown."""
    return list({each.key: each for each in (*chosen(OFFERED), *indicators)}.values())


def _overlays(lines: Sequence[Worked]) -> list[Overlay]:
    """The lines over the prices; an indicator's own look alike."""
    over = [each for each in lines if each.indicator.is_over_prices]
    return [
        Overlay(word, STYLES[number % len(STYLES)], [float(value) for value in values])
        for number, each in enumerate(over)
        for word, values in each.lines.items()
    ]


def _below(candles: Sequence[Candle], lines: Sequence[Worked]) -> list[tuple[str, Chart]]:
    """Volume, and a chart for each indicator with a scale of its own, by the element's id."""
    times = [candle.close_time for candle in candles]
    found = [("volume", _small("Volume", times, [float(candle.volume) for candle in candles]))]
    for each in lines:
        if not each.indicator.is_over_prices:
            marks = (30.0, 70.0) if each.indicator.kind == "rsi" else ()
            found += [
                (each.indicator.key.replace(":", "-"), _small(word, times, values, marks))
                for word, values in each.lines.items()
            ]
    return found


def _small(word: str, times: Sequence[datetime], values: Iterable[float], marks: Sequence[float] = ()) -> Chart:
    points = [(moment, float(value)) for moment, value in zip(times, values, strict=True) if value == value]  # noqa: PLR0124  # no nan
    return line_chart(word, [(points, "")], lambda value: f"{value:,.4g}", marks=marks, lines=2)


def _usual(codes: Sequence[str]) -> str:
    """A minute where there are minutes, else the shortest."""
    return "1m" if "1m" in codes else codes[0] if codes else ""


def _drawn(
    instrument: Instrument,
    code: str,
    candles: Sequence[Candle],
    passages: Sequence[Passage],
    overlays: Sequence[Overlay],
) -> CandleChart:
    bars = [Bar(c.close_time, float(c.open), float(c.high), float(c.low), float(c.close)) for c in candles]
    title = f"{instrument.symbol}, {code} candles"
    if candles:
        low, high = min(c.low for c in candles), max(c.high for c in candles)
        said = (numbers.price(value, instrument.tick) for value in (candles[0].open, candles[-1].close, low, high))
        title = "{}: from {} to {} {quote}, lowest {}, highest {}".format(title, *said, quote=instrument.quote)
    places = numbers.places_of(instrument.tick)
    return candle_chart(
        title, bars, lambda value: numbers.number(value, places), _levels(passages), _marks(passages), overlays
    )


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


def _data(
    instrument: Instrument,
    code: str,
    candles: Sequence[Candle],
    passages: Sequence[Passage],
    overlays: Sequence[Overlay],
) -> dict[str, Any]:
    """The same for the script. Times are epoch seconds of the candles' opens, as charting libraries name candles."""
    length = timeframe(code).seconds

    def opened(moment: datetime) -> int:
        """When the candle opened in which `moment` lies; a moment on the boundary belongs to the candle that closes there."""
        seconds = moment.timestamp()
        return int(-(-seconds // length) * length) - length

    first = opened(candles[0].close_time)
    return {
        "seconds": length,
        "places": numbers.places_of(instrument.tick),
        "tick": float(instrument.tick),
        "candles": [
            [opened(c.close_time), float(c.open), float(c.high), float(c.low), float(c.close)] for c in candles
        ],
        "levels": [[level.price, level.word, level.css.removeprefix("c-")] for level in _levels(passages)],
        "lines": [
            [each.word, each.css, [None if value != value else value for value in each.values]]  # noqa: PLR0124  # no nan
            for each in overlays
        ],
        "marks": [[opened(mark.at), mark.shape, mark.number] for mark in _marks(passages) if opened(mark.at) >= first],
    }


@cache
def library() -> str | None:
    """The address of the charting library, None where it is not installed: the charts are drawn without it then."""
    if settings.HASHED_STATIC:
        try:
            return static(LIBRARY)
        except ValueError:  # not among what was collected
            return None
    return static(LIBRARY) if finders.find(LIBRARY) else None
