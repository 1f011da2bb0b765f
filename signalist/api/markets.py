"""Markets for programs: newest prices, closed candles, and indicators worked out of them. The same for everybody who has a key for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import Http404, HttpRequest

from signalist.api.answers import Refusal, limit_of, listed, plain
from signalist.api.endpoint import reads
from signalist.api.gate import Caller
from signalist.clock import utc_now
from signalist.domain.timeframes import TIMEFRAMES
from signalist.markets.history import newest
from signalist.markets.indicators import MOST as MOST_INDICATORS
from signalist.markets.indicators import OFFERED, Worked, chosen, needed, worked
from signalist.markets.models import Candle, Instrument
from signalist.markets.newest import newest_prices
from signalist.markets.overview import FRESH_WITHIN

Said = dict[str, Any]
MOST_AT_ONCE = 10
"""Instruments whose indicators are told in one answer."""
LARGEST_KEY = 2**63 - 1
CODES = tuple(frame.code for frame in TIMEFRAMES)


@reads("markets:read")
def instruments(request: HttpRequest, who: Caller) -> Said:
    """What can be traded, with its rules and its newest price."""
    return listed(request, Instrument.objects.filter(is_active=True).select_related("latest"), _instrument)


@reads("markets:read")
def candles(request: HttpRequest, who: Caller, instrument_id: int) -> Said:
    """Closed candles of a timeframe, the newest first; `since` and `until` bound their closes."""
    _there([instrument_id])
    limit = limit_of(request)
    rows = Candle.objects.filter(instrument=instrument_id, timeframe=_timeframe(request))
    if (since := _moment(request, "since")) is not None:
        rows = rows.filter(close_time__gte=since)
    for name in ("until", "after"):
        if (bound := _moment(request, name)) is not None:
            rows = rows.filter(**{"close_time__lt" if name == "after" else "close_time__lte": bound})
    found = list(rows.order_by("-close_time")[: limit + 1])
    cursor = plain(found[limit - 1].close_time) if len(found) > limit else None
    return {"data": [plain(_candle(row)) for row in found[:limit]], "next": cursor}


@reads("markets:read")
def indicators(request: HttpRequest, who: Caller) -> Said:
    """Indicators (`with=rsi:14`, more than one) at the newest closes of one timeframe, of one or several instruments."""
    asked = [
        text for text in request.GET.getlist("instrument") if text.isascii() and text.isdecimal() and len(text) < 12
    ]
    ids = list(dict.fromkeys(map(int, asked)))
    if len(ids) > MOST_AT_ONCE or len(ids) < len(set(request.GET.getlist("instrument"))):
        raise Refusal(400, "bad_request", f"instrument is the id of one, and stands there up to {MOST_AT_ONCE} times.")
    named = request.GET.getlist("with") or list(OFFERED)
    wanted = chosen(named)
    if len(wanted) < len(set(named)):
        raise Refusal(
            400, "bad_request", f"with names up to {MOST_INDICATORS} indicators, such as rsi:14; see the documentation."
        )
    code, limit, known = _timeframe(request), limit_of(request), _there(ids)
    data = []
    for key in ids:
        stored = newest(key, code, limit + needed(wanted))
        shown = stored[-limit:]
        lines = worked(wanted, stored, len(shown)) if stored else []
        data.append(
            {
                "instrument": key,
                "symbol": known[key].symbol,
                "timeframe": code,
                "closed_at": [candle.close_time for candle in shown],
                "close": [candle.close for candle in shown],
                "indicators": {each.indicator.key: _lines(each) for each in lines},
            }
        )
    return {"data": plain(data)}


def _there(ids: list[int]) -> dict[int, Instrument]:
    found = Instrument.objects.in_bulk([key for key in ids if key <= LARGEST_KEY])
    if len(found) < len(set(ids)):
        raise Http404
    return found


def _timeframe(request: HttpRequest) -> str:
    code = request.GET.get("timeframe", "1m")
    if code not in CODES:
        raise Refusal(400, "bad_request", f"timeframe is one of {', '.join(CODES)}.")
    return code


def _moment(request: HttpRequest, name: str) -> datetime | None:
    given = request.GET.get(name, "")
    try:
        moment = datetime.fromisoformat(given) if given else None
        there = None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day there is are another day elsewhere
        there = None
    if given and there is None:
        raise Refusal(400, "bad_request", f"{name} is a time in ISO 8601 with its zone, such as 2026-01-05T12:00:00Z.")
    return there


def _instrument(row: Instrument) -> Said:
    stored = getattr(row, "latest", None)
    found = newest_prices.newer(row.pk, None if stored is None else (stored.price, stored.at))
    price = None
    if found is not None:
        price = {"price": found[0], "at": found[1], "is_fresh": utc_now() - found[1] <= FRESH_WITHIN}
    rules = (
        "venue",
        "symbol",
        "base",
        "quote",
        "kind",
        "tick",
        "lot",
        "min_quantity",
        "min_notional",
        "max_leverage",
        "trading",
    )
    return {"id": row.pk, **{name: getattr(row, name) for name in rules}, "last": price}


def _candle(row: Candle) -> Said:
    names = ("open", "high", "low", "close", "volume")
    return {
        "closed_at": row.close_time,
        **{name: getattr(row, name) for name in names},
        "is_synthetic": row.is_synthetic,
    }


def _lines(each: Worked) -> dict[str, list[float | None]]:
    """Null while there are too few candles."""
    return {
        word: [None if value != value else round(float(value), 10) for value in values]  # noqa: PLR0124  # no nan
        for word, values in each.lines.items()
    }
