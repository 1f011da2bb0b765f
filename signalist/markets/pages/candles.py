"""What the page of one instrument shows: the chart of a timeframe with the tenant's own trades, the same for a script, and the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import QueryDict
from django.templatetags.static import static

from signalist.display.moments import address_value
from signalist.domain.conditions import Condition, condition_bars
from signalist.domain.timeframes import timeframe
from signalist.markets.history import spans
from signalist.markets.indicators import Indicator, chosen, how_it_goes, needed, offered, worked
from signalist.markets.models import Instrument
from signalist.markets.overview import LATELY, last_prices
from signalist.markets.pages.drawing import Drawing, below, overlays
from signalist.markets.pages.window import COUNTS, Asked, Window, asked_of, fields, offered_spans, window
from signalist.trading.passages import own_passages

CONDITION_BARS = condition_bars()
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LIBRARY = "lightweight-charts/lightweight-charts.standalone.production.js"


def shown(
    instrument: Instrument, query: QueryDict, zone: tzinfo, now: datetime, indicators: Sequence[Indicator] = ()
) -> dict[str, Any]:
    """The context of the page but for who runs on the instrument. `query` says which candles are shown (`window`), typed in `zone`;
    `indicators` are drawn over them and below them."""
    archives = {span.code: span for span in spans([instrument.pk], BEGINNING).get(instrument.pk, [])}
    codes, asked = list(archives), asked_of(query, zone)
    code = query.get("timeframe", "") if query.get("timeframe") in codes else _usual(codes)
    kept = {"timeframe": [code], "with": [each.key for each in indicators]}
    view = window(instrument.pk, archives[code], asked, needed(indicators), CONDITION_BARS, kept) if code else None
    candles = view.shown if view else []
    lines = worked(indicators, view.stored, len(candles)) if view and candles else []
    begins = candles[0].close_time - timeframe(code).length if candles else (view and view.begin) or now - LATELY
    until = None if view is None or view.is_newest else (candles[-1].close_time if candles else view.end)
    passages = own_passages(instrument.pk, begins, until=until)
    within = [passage for passage in passages if until is None or passage.entry_at <= until]
    drawing = Drawing(instrument, code, candles, within, overlays(lines), is_newest=until is None)
    return {
        "codes": codes,
        "code": code,
        "archive": archives.get(code),
        "candles": candles,
        "window": view,
        "asked": asked,
        "bar_counts": COUNTS,
        "spans": offered_spans(timeframe(code), asked) if code else [],
        "axis": _axis(view, code),
        "typed": fields(asked, query, view, zone),
        "zone": str(zone),
        "kept": _kept(query, asked),
        "file": _file(view, code),
        "offered": [(each, each.key in {i.key for i in indicators}) for each in _offered(indicators)],
        "condition": how_it_goes(view.stored) if view and candles else Condition.UNKNOWN,
        "below": below(candles, lines),
        "passages": list(enumerate(within, 1)),
        "open": [passage for passage in passages if passage.is_open],
        "last": last_prices([instrument.pk], now).get(instrument.pk),
        "chart": drawing.drawn(),
        "data": drawing.data() if candles else None,
        "library": library(),
    }


def _offered(indicators: Sequence[Indicator]) -> list[Indicator]:
    """What can be ticked: the usual ones, and those of another period that are shown."""
    return list({each.key: each for each in (*chosen(offered()), *indicators)}.values())


def _usual(codes: Sequence[str]) -> str:
    """A minute where there are minutes, else the shortest."""
    return "1m" if "1m" in codes else codes[0] if codes else ""


def _axis(view: Window | None, code: str) -> str:
    """How times on the axis are written: a day is named where they are of several."""
    if view is None or not view.shown:
        return "short"
    if timeframe(code).length >= LATELY:
        return "day"
    return "short" if view.shown[-1].close_time - view.shown[0].close_time <= LATELY else "dated"


def _kept(query: QueryDict, asked: Asked) -> list[tuple[str, str]]:
    """What says which candles are shown, for the form that chooses indicators."""
    named = [] if asked.errors else [(name, query.get(name, "")) for name in ("from", "to", "span")]
    return [*((name, value) for name, value in named if value), ("bars", str(asked.bars))]


def _file(view: Window | None, code: str) -> str:
    """The query of the file that holds exactly what is shown, or all of a range that holds more."""
    if view is None or view.begin is None or view.end is None:
        return ""
    return urlencode({"timeframe": code, "from": address_value(view.begin), "to": address_value(view.end)})


@cache
def library() -> str | None:
    """The address of the charting library, None where it is not installed: the charts are drawn without it then."""
    if settings.HASHED_STATIC:
        try:
            return static(LIBRARY)
        except ValueError:  # not among what was collected
            return None
    return static(LIBRARY) if finders.find(LIBRARY) else None
