"""What requests about markets name: instruments, a timeframe, moments. Each raises Refusal, or Http404 for what is not there."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import Q
from django.http import Http404, HttpRequest

from signalist.api.answers import Refusal
from signalist.domain.timeframes import TIMEFRAMES
from signalist.markets.models import Instrument

MOST_AT_ONCE = 10
"""Instruments that one answer tells of."""
CODES = tuple(frame.code for frame in TIMEFRAMES)


def instruments_of(request: HttpRequest) -> list[Instrument]:
    """Those that are named by `instrument` (ids) and `pair` (`BTC/USD`, or `venue:BTC/USD`), each once, in that order. One query."""
    ids, names = request.GET.getlist("instrument"), list(dict.fromkeys(request.GET.getlist("pair")))
    keys = list(dict.fromkeys(int(text) for text in ids if text.isascii() and text.isdecimal() and len(text) < 12))
    if len(keys) + len(names) > MOST_AT_ONCE or len(keys) < len(set(ids)):
        words = f"instrument is the id of one, pair its name such as BTC/USD; up to {MOST_AT_ONCE} of them."
        raise Refusal(400, "bad_request", words)
    if not keys and not names:
        return []
    symbols = [name.rpartition(":")[2] for name in names]
    found = list(Instrument.objects.filter(Q(pk__in=keys) | Q(symbol__in=symbols, is_active=True)).order_by("pk"))
    by_id = {each.pk: each for each in found}
    if not by_id.keys() >= set(keys):
        raise Http404
    chosen = [by_id[key] for key in keys] + [_named(name, found) for name in names]
    return list({each.pk: each for each in chosen}.values())


def _named(name: str, found: list[Instrument]) -> Instrument:
    """The one instrument of this name; a name that several venues have is refused."""
    venue, _, symbol = name.rpartition(":")
    those = [each for each in found if each.is_active and each.symbol == symbol and venue in ("", each.venue)]
    if not those:
        raise Http404
    if len(those) > 1:
        raise Refusal(400, "bad_request", f"Several venues have {symbol}; say which: {', '.join(map(str, those))}.")
    return those[0]


def timeframe_of(request: HttpRequest) -> str:
    """`timeframe`, or `period` as some call it; a minute where neither is given."""
    code = request.GET.get("timeframe") or request.GET.get("period") or "1m"
    if code not in CODES:
        raise Refusal(400, "bad_request", f"timeframe is one of {', '.join(CODES)}.")
    return code


def moment_of(request: HttpRequest, name: str) -> datetime | None:
    """A moment with its zone, None where there is none of this name."""
    given = request.GET.get(name, "")
    try:
        moment = datetime.fromisoformat(given) if given else None
        there = None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day there is are another day elsewhere
        there = None
    if given and there is None:
        raise Refusal(400, "bad_request", f"{name} is a time in ISO 8601 with its zone, such as 2026-01-05T12:00:00Z.")
    return there


def offset_of(request: HttpRequest, most: int) -> int:
    """How many are passed over, the newest first."""
    given = request.GET.get("offset", "0")
    if not given.isascii() or not given.isdecimal() or len(given) > 9 or int(given) > most:
        words = f"offset is a number up to {most}; go further back with `until`, or with `after`, the `next` of the page before."
        raise Refusal(400, "bad_request", words)
    return int(given)
