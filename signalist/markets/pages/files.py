"""Candles of an instrument as a file."""

from __future__ import annotations

from io import StringIO

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from signalist.domain.timeframes import TIMEFRAMES
from signalist.markets.candle_files import write_out
from signalist.markets.models import Candle, Instrument
from tenants.access import MemberRequest, member

MOST = 5000


@require_safe
@member
def candles_csv(request: MemberRequest, key: int) -> HttpResponse:
    """The newest candles of a timeframe as CSV, in order of time, without those in which nothing was traded."""
    found = Instrument.objects.filter(pk=key).first()
    code = request.GET.get("timeframe", "1m")
    if found is None or code not in {frame.code for frame in TIMEFRAMES}:
        raise Http404("There are no such candles.")
    stored = Candle.objects.filter(instrument=found, timeframe=code, is_synthetic=False).order_by("-close_time")
    first = stored.values_list("close_time", flat=True)[MOST - 1 : MOST].first() if stored.count() > MOST else None
    text = StringIO()
    write_out(stored if first is None else stored.filter(close_time__gte=first), text)
    name = f"{found.symbol}-{code}".replace("/", "-")
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )
