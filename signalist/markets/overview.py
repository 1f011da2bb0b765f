"""Instruments at a glance: where each stands, how far it came lately, and how old its price is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.domain.timeframes import timeframe
from signalist.markets.history import Span, closes, spans
from signalist.markets.models import Instrument
from signalist.markets.newest import newest_prices
from signalist.markets.selectors import latest_prices

Closes = list[tuple[datetime, Decimal]]

LATELY = timedelta(hours=24)
POINTS = 48
FRESH_WITHIN = timedelta(seconds=90)
"""A price older than this is not traded on (`execution.limits.FRESH_WITHIN`), and a page says that it is late."""


@dataclass(frozen=True, slots=True)
class LastPrice:
    """The newest price in quote currency, when the market made it, and how old that is."""

    price: Decimal
    at: datetime
    age: timedelta

    @property
    def is_fresh(self) -> bool:
        return self.age <= FRESH_WITHIN


@dataclass(frozen=True, slots=True)
class Glance:
    """An instrument at a glance. `change` is a fraction since `since` (24 hours ago, or where its candles begin), None without candles.

    `closes` are for a small line, oldest first, the newest price last.
    """

    instrument: Instrument
    last: LastPrice | None
    change: Decimal | None
    since: datetime | None
    closes: tuple[Decimal, ...]

    @property
    def is_short(self) -> bool:
        """Whether its candles do not reach back for 24 hours."""
        return self.since is None or self.last is None or self.last.at - self.since < LATELY - timedelta(minutes=30)


def last_prices(instrument_ids: Sequence[int], now: datetime) -> dict[int, LastPrice]:
    """The newest price of each instrument that has one, stored or heard by this process. One query."""
    stored = latest_prices(instrument_ids)
    known = {key: newest_prices.newer(key, stored.get(key)) for key in instrument_ids}
    return {
        key: LastPrice(found[0], found[1], max(now - found[1], timedelta(0)))
        for key, found in known.items()
        if found is not None
    }


def glances(instruments: Sequence[Instrument], now: datetime) -> list[Glance]:
    """`instruments` at a glance, in their order. Three queries, however many there are."""
    ids = [instrument.pk for instrument in instruments]
    prices = last_prices(ids, now)
    known = {key: _chosen(found) for key, found in spans(ids, now - LATELY).items()}
    begins = min((span.first for span in known.values()), default=now)
    moments = [begins + (now - begins) * n / POINTS for n in range(POINTS + 1)]
    # A change counts from the first candle that there is, wherever that lies between two moments.
    firsts = {span.first for span in known.values()}
    found = closes({key: span.code for key, span in known.items()}, [*moments, *firsts])
    return [
        _glance(each, prices.get(each.pk), _line(found.get(each.pk, []), known.get(each.pk), moments))
        for each in instruments
    ]


def _line(found: Closes, span: Span | None, moments: Sequence[datetime]) -> Closes:
    """What belongs to the instrument's own line: the moments that all share, and its first candle."""
    if span is None:
        return []
    shared = {timeframe(span.code).last_close(moment) for moment in moments} | {span.first}
    return [(moment, close) for moment, close in found if moment in shared]


def _chosen(found: Sequence[Span]) -> Span:
    """The shortest timeframe that reaches as far back as any."""
    first = min(span.first - timeframe(span.code).length for span in found)
    return next(span for span in found if span.first - timeframe(span.code).length <= first + timedelta(minutes=1))


def _glance(instrument: Instrument, last: LastPrice | None, line: Closes) -> Glance:
    newest = last.price if last else line[-1][1] if line else None
    since, base = line[0] if line else (None, None)
    change = None if base is None or newest is None else newest / base - 1
    shown = tuple(close for _, close in line)
    return Glance(instrument, last, change, since, shown if last is None else (*shown, last.price))
