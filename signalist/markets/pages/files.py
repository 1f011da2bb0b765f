"""Candles of an instrument as a file."""

from __future__ import annotations

from io import StringIO

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from signalist.display.moments import zone_of
from signalist.domain.timeframes import TIMEFRAMES
from signalist.markets import ranges
from signalist.markets.candle_files import write_out
from signalist.markets.models import Instrument
from signalist.markets.pages.window import Asked, asked_of
from tenants.access import MemberRequest, member

MOST = 5000
"""Candles of a file where no range is asked for: the newest."""


@require_safe
@member
def candles_csv(request: MemberRequest, key: int) -> HttpResponse:
    """The candles of a timeframe that lie between `from` and `to` as CSV, in order of time, without those in which nothing was traded; the
    newest `MOST` where neither is given. 400 with a sentence for ends that are wrong, or that hold more than a file may."""
    found = Instrument.objects.filter(pk=key).first()
    code = request.GET.get("timeframe", "1m")
    if found is None or code not in {frame.code for frame in TIMEFRAMES}:
        raise Http404("There are no such candles.")
    asked = asked_of(request.GET, zone_of(request.user.time_zone))
    if asked.errors:
        return _refused(" ".join(f"{name}: {words}" for name, words in asked.errors.items()))
    within = _range(found.pk, code, asked)
    if not ranges.counted(found.pk, code, within).is_exact:
        return _refused(f"This range holds more than {ranges.MOST_COUNTED:,} candles; choose a shorter one.")
    text = StringIO()
    write_out(ranges.stored(found.pk, code, within).filter(is_synthetic=False), text)
    ends = "".join(f"-{moment:%Y%m%dT%H%M%SZ}" for moment in (within.after, within.until) if moment is not None)
    name = f"{found.symbol}-{code}{ends}".replace("/", "-")
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _range(instrument_id: int, code: str, asked: Asked) -> ranges.Range:
    """What is asked for; the newest so many that were traded in where nothing is."""
    traded = ranges.stored(instrument_id, code, ranges.Range()).filter(is_synthetic=False).order_by("-close_time")
    closes = traded.values_list("close_time", flat=True)
    if asked.begin is None and asked.end is None and not asked.span:
        before = closes[MOST : MOST + 1].first()
        return ranges.Range(before)
    last = asked.end or closes.first()
    return ranges.Range() if last is None else asked.within(last)


def _refused(words: str) -> HttpResponse:
    return HttpResponse(words, status=400, content_type="text/plain; charset=utf-8")
