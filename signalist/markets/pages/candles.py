"""What the page of one instrument shows: the chart of a timeframe with the tenant's own trades, the same for a script, and the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static

from signalist.display import numbers
from signalist.display.candle_chart import Bar, CandleChart, Level, Mark, candle_chart
from signalist.domain.candles import Candle
from signalist.domain.timeframes import timeframe
from signalist.markets.history import newest, spans
from signalist.markets.models import Instrument
from signalist.markets.overview import LATELY, last_prices
from signalist.trading.passages import Passage, own_passages

BARS = 120
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LIBRARY = "lightweight-charts/lightweight-charts.standalone.production.js"


def shown(instrument: Instrument, asked: str, now: datetime) -> dict[str, Any]:
    """The context of the page but for who runs on the instrument. `asked` is the timeframe that the reader chose, if any."""
    known = spans([instrument.pk], BEGINNING).get(instrument.pk, [])
    codes = [span.code for span in known]
    code = asked if asked in codes else _usual(codes)
    candles = newest(instrument.pk, code, BARS) if code else []
    begins = candles[0].close_time - timeframe(code).length if candles else now - LATELY
    passages = own_passages(instrument.pk, begins)
    last = last_prices([instrument.pk], now).get(instrument.pk)
    return {
        "codes": codes,
        "code": code,
        "candles": candles,
        "passages": list(enumerate(passages, 1)),
        "open": [passage for passage in passages if passage.is_open],
        "last": last,
        "chart": _drawn(instrument, code, candles, passages),
        "data": _data(instrument, code, candles, passages) if candles else None,
        "library": library(),
    }


def _usual(codes: Sequence[str]) -> str:
    """A minute where there are minutes, else the shortest."""
    return "1m" if "1m" in codes else codes[0] if codes else ""


def _drawn(instrument: Instrument, code: str, candles: Sequence[Candle], passages: Sequence[Passage]) -> CandleChart:
    bars = [Bar(c.close_time, float(c.open), float(c.high), float(c.low), float(c.close)) for c in candles]
    title = f"{instrument.symbol}, {code} candles"
    if candles:
        low, high = min(c.low for c in candles), max(c.high for c in candles)
        said = (numbers.price(value, instrument.tick) for value in (candles[0].open, candles[-1].close, low, high))
        title = "{}: from {} to {} {quote}, lowest {}, highest {}".format(title, *said, quote=instrument.quote)
    places = numbers.places_of(instrument.tick)
    return candle_chart(title, bars, lambda value: numbers.number(value, places), _levels(passages), _marks(passages))


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


def _data(instrument: Instrument, code: str, candles: Sequence[Candle], passages: Sequence[Passage]) -> dict[str, Any]:
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
