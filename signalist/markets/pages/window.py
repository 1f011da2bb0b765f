"""Which candles a reader asks to be shown: the newest, a stretch up to or from a moment, or all between two; and where older and newer lie.

In the address: `timeframe`; `from` and `to`, in the person's time zone or with a zone; `span`, a length that ends at `to` or with the
newest candle; `bars`, how many where no two ends are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from urllib.parse import urlencode

from django.http import QueryDict

from signalist.display.moments import NoMoment, address_value, field_value, typed
from signalist.domain.candles import Candle
from signalist.domain.timeframes import Timeframe, timeframe
from signalist.markets import ranges
from signalist.markets.history import Span
from signalist.markets.ranges import Range

BARS, COUNTS = 120, (60, 120, 240, 480)
"""How many candles a reader may have shown where no range is asked for."""
MOST_DRAWN = 1_500
"""Candles that are drawn at once: the minutes of a day fit."""
FEWEST = 6
PRESETS: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("1 h", timedelta(hours=1)),
    "6h": ("6 h", timedelta(hours=6)),
    "1d": ("1 d", timedelta(days=1)),
    "1w": ("1 w", timedelta(days=7)),
    "1mo": ("1 mo", timedelta(days=30)),
    "1y": ("1 y", timedelta(days=365)),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for. `errors` are sentences by the name of what is wrong; that counts as not asked then."""

    begin: datetime | None = None
    end: datetime | None = None
    span: str = ""
    bars: int = BARS
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_range(self) -> bool:
        """Whether both ends are given, rather than a number of candles."""
        return bool(self.span) or (self.begin is not None and self.end is not None)

    def within(self, last: datetime) -> Range:
        """The range on closes, of an archive whose newest candle closed at `last`."""
        if not self.span:
            return Range(self.begin, self.end)
        until = self.end or last
        return Range(until - PRESETS[self.span][1], until)


def asked_of(query: QueryDict, zone: tzinfo) -> Asked:
    """What the address asks for; wrong ends are told and left out, both where they contradict each other."""
    moments: dict[str, datetime] = {}
    errors: dict[str, str] = {}
    for name in ("from", "to"):
        if text := query.get(name, "").strip():
            try:
                moments[name] = typed(text, zone)
            except NoMoment as problem:
                errors[name] = str(problem)
    if len(moments) == 2 and moments["from"] >= moments["to"]:
        errors["to"] = "The end must lie behind the beginning."
    span = query.get("span", "")
    if span and span not in PRESETS:
        errors["span"] = f"span is one of {', '.join(PRESETS)}."
    if errors:
        moments, span = {}, ""
    if "from" in moments:
        span = ""
    return Asked(moments.get("from"), moments.get("to"), span, _bars(query.get("bars", "")), errors)


def _bars(text: str) -> int:
    count = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else BARS
    return count if count in COUNTS else BARS


@dataclass(frozen=True, slots=True)
class Window:
    """The candles that are shown, oldest first, behind those that only indicators need (`stored` holds both).

    `begin` and `end` are the ends of the range, or of what is shown where it has none. `is_newest`: the newest candle is among them.
    `in_all`: how many the range holds where that is more than is drawn. `older` and `newer` are queries, empty where nothing lies there.
    """

    stored: Sequence[Candle]
    shown: Sequence[Candle]
    begin: datetime | None
    end: datetime | None
    is_newest: bool
    in_all: ranges.Counted | None = None
    older: str = ""
    newer: str = ""


def window(
    instrument_id: int, archive: Span, asked: Asked, lead: int, fewest: int, kept: Mapping[str, Sequence[str]]
) -> Window:
    """What is shown of `archive`, with `lead` candles before it for the indicators and `fewest` in all where there are so many.

    `kept` is what the links to older and newer candles carry along. Three queries at most.
    """
    frame = timeframe(archive.code)
    within = asked.within(archive.last)
    count = MOST_DRAWN if asked.is_range else asked.bars
    stored, shown, is_cut = _read(instrument_id, frame, within, count, lead, fewest)
    drawn = shown[0].close_time - frame.length if shown else within.after
    closed = shown[-1].close_time if shown else within.until
    begin, end = (within.after, within.until) if asked.is_range else (drawn, closed)
    in_all = ranges.counted(instrument_id, archive.code, within) if is_cut and asked.is_range else None
    older = _older(asked, begin or end, end, drawn if in_all else begin, archive)
    newer = _newer(asked, begin, end or begin, archive)
    links = (f"?{urlencode({**kept, **way}, doseq=True)}" if way else "" for way in (older, newer))
    return Window(stored, shown, begin, end, bool(shown) and shown[-1].close_time >= archive.last, in_all, *links)


def _read(
    key: int, frame: Timeframe, within: ranges.Range, count: int, lead: int, fewest: int
) -> tuple[list[Candle], list[Candle], bool]:
    """What is stored and what is shown of it, oldest first, and whether the range holds more. Two queries at most."""
    if within.after is None:
        found = ranges.read(key, frame.code, within, max(count + lead, fewest))
        stored = [row.value() for row in reversed(found)]
        return stored, stored[-count:], False
    oldest_first = within.until is None
    found = ranges.read(key, frame.code, within, count + 1, oldest_first=oldest_first)
    shown = [row.value() for row in (found[:count] if oldest_first else reversed(found[:count]))]
    if not shown:
        return [], [], False
    before = Range(until=shown[0].close_time - frame.length)
    earlier = ranges.read(key, frame.code, before, max(lead, fewest - len(shown)))
    return [*(row.value() for row in reversed(earlier)), *shown], shown, len(found) > count


def _older(
    asked: Asked, begin: datetime | None, end: datetime | None, drawn: datetime | None, archive: Span
) -> dict[str, str]:
    """What the link to older candles asks for: what the range holds and was not drawn, else as much before it; nothing where nothing is."""
    if begin is None or begin < archive.first:
        return {}
    if not asked.is_range or end is None:
        return {"to": address_value(min(begin, archive.last)), "bars": str(asked.bars)}
    if drawn is not None and drawn > begin:
        return {"from": address_value(begin), "to": address_value(drawn)}
    last = min(begin, archive.last)
    return {"from": address_value(last - (end - begin)), "to": address_value(last)}


def _newer(asked: Asked, begin: datetime | None, end: datetime | None, archive: Span) -> dict[str, str]:
    """What the link to newer candles asks for: as much behind the range; nothing where nothing is."""
    if end is None or end >= archive.last:
        return {}
    first = max(end, archive.first - timeframe(archive.code).length)
    if not asked.is_range or begin is None:
        return {"from": address_value(first), "bars": str(asked.bars)}
    return {"from": address_value(first), "to": address_value(first + (end - begin))}


def offered_spans(frame: Timeframe, asked: Asked) -> list[tuple[str, str]]:
    """The lengths of which a sensible number of candles can be drawn, and the one that was asked for; by value, with words."""
    return [
        (key, words)
        for key, (words, length) in PRESETS.items()
        if FEWEST <= length / frame.length <= MOST_DRAWN or key == asked.span
    ]


def fields(asked: Asked, query: QueryDict, shown: Window | None, zone: tzinfo) -> dict[str, str]:
    """What the two fields hold: what was typed where something is wrong with it, else the ends of what is shown."""
    if asked.errors or shown is None:
        return {name: query.get(name, "")[:40] for name in ("from", "to")}
    return {"from": field_value(shown.begin, zone), "to": field_value(shown.end, zone)}
