"""Markets for programs: newest prices, closed candles, and indicators worked out of them. The same for everybody who has a key for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest

from signalist.api.answers import Refusal, limit_of, listed, plain
from signalist.api.asking import instruments_of, moment_of, offset_of, timeframe_of
from signalist.api.endpoint import reads
from signalist.api.gate import Caller
from signalist.clock import utc_now
from signalist.domain.instruments import RULES
from signalist.markets.current_prices import current_prices
from signalist.markets.folded import newest, part
from signalist.markets.indicators import MOST as MOST_INDICATORS
from signalist.markets.indicators import Indicator, Worked, chosen_now, needed, offered, worked
from signalist.markets.models import Candle, Instrument
from signalist.markets.newest import newest_prices
from signalist.markets.overview import FRESH_WITHIN
from signalist.markets.ranges import MOST_COUNTED, Range

Said = dict[str, Any]
INSTANT = timedelta(microseconds=1)


@reads("markets:read")
def instruments(request: HttpRequest, who: Caller) -> Said:
    """What can be traded, with its rules and its newest price."""
    return listed(request, Instrument.objects.filter(is_active=True).select_related("latest"), _instrument)


@reads("markets:read")
def prices(request: HttpRequest, who: Caller) -> Said:
    """The newest price of everything that is offered, in one answer, out of memory; null where there has been none."""
    now = utc_now()
    data = [
        {
            "instrument": each.instrument_id,
            "venue": each.venue,
            "symbol": each.symbol,
            "pair": each.pair,
            "quote": each.quote,
            "price": each.price,
            "at": each.at,
            "is_fresh": each.at is not None and now - each.at <= FRESH_WITHIN,
        }
        for each in current_prices()
    ]
    return {"data": plain(data)}


@reads("markets:read")
def candles(request: HttpRequest, who: Caller, instrument_id: int) -> Said:
    """Closed candles of a timeframe, the newest first; `since` and `until` bound their closes. Pages by `offset` or by `after`."""
    if not Instrument.objects.filter(pk=instrument_id).exists():
        raise Http404
    limit, offset, code = limit_of(request), offset_of(request, MOST_COUNTED), timeframe_of(request)
    since, until, before = (moment_of(request, name) for name in ("since", "until", "after"))
    if since is not None and until is not None and since > until:
        raise Refusal(400, "bad_request", "until must not lie before since.")
    # Closes are whole seconds, so that a moment just before one that is included, or excluded, bounds as well.
    ends = [until, None if before is None else before - INSTANT]
    first = None if since is None else since - INSTANT
    found = part(
        instrument_id, code, Range(first, min((end for end in ends if end is not None), default=None)), limit, offset
    )
    return {
        "data": [plain(_candle(row)) for row in found.candles],
        "next": plain(found.candles[-1].close_time) if found.more else None,
        "limit": limit,
        "offset": offset,
        "total": found.total.number,
        "total_is_exact": found.total.is_exact,
        "has_more": found.more,
        "folded_from": found.folded_from or None,
    }


@reads("markets:read")
def indicators(request: HttpRequest, who: Caller) -> Said:
    """Indicators (`with=rsi:14`, more than one) at the newest closes of one timeframe, of one or several instruments."""
    known = instruments_of(request)
    named = request.GET.getlist("with") or offered()
    wanted = chosen_now(named)
    if len(wanted) < len(set(named)):
        raise Refusal(
            400, "bad_request", f"with names up to {MOST_INDICATORS} indicators, such as rsi:14; see the documentation."
        )
    code, limit = timeframe_of(request), limit_of(request)
    return {"data": plain([_worked(each, code, wanted, limit) for each in known])}


def _worked(instrument: Instrument, code: str, wanted: Sequence[Indicator], limit: int) -> Said:
    stored = newest(instrument.pk, code, limit + needed(wanted))
    shown = stored[-limit:]
    lines = worked(wanted, stored, len(shown)) if stored else []
    return {
        "instrument": instrument.pk,
        "symbol": instrument.symbol,
        "timeframe": code,
        "closed_at": [candle.close_time for candle in shown],
        "close": [candle.close for candle in shown],
        "indicators": {each.indicator.key: _lines(each) for each in lines},
    }


def _instrument(row: Instrument) -> Said:
    stored = getattr(row, "latest", None)
    found = newest_prices.newer(row.pk, None if stored is None else (stored.price, stored.at))
    price = None
    if found is not None:
        price = {"price": found[0], "at": found[1], "is_fresh": utc_now() - found[1] <= FRESH_WITHIN}
    return {"id": row.pk, **{name: getattr(row, name) for name in (*RULES, "trading")}, "last": price}


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
        word: [None if math.isnan(value) else round(float(value), 10) for value in values]
        for word, values in each.lines.items()
    }
