"""What a feed says of closed candles, brought into the books: new ones stored, repetitions dropped, corrections recorded, higher
timeframes made of complete ones.

A candle that is there is never told to anybody again, whatever is corrected in it: a strategy was run on it, or was not, for good. What
was invented where nothing arrived gives way to what the venue tells later, and never the other way round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from signalist.db import fast
from signalist.db.wakes import ring_on_commit
from signalist.domain.candles import Candle
from signalist.domain.money import plain, settle
from signalist.domain.timeframes import Timeframe, timeframe
from signalist.events import outbox
from signalist.events.outbox import Fact
from signalist.markets import feeds
from signalist.markets import models as rows
from signalist.markets.feed_models import CandleCorrection

MADE_OF = {"5m": "1m", "15m": "5m", "30m": "15m", "1h": "30m", "2h": "1h", "4h": "2h", "1d": "4h"}
"""Each higher timeframe and the one whose candles it is made of, in the order in which they are made."""

Key = tuple[int, str, datetime]


@dataclass(frozen=True, slots=True)
class Told:
    """A closed candle of an instrument. `invented`: nobody told it; `made`: it was put together from shorter ones."""

    instrument_id: int
    frame: Timeframe
    candle: Candle
    invented: bool = False
    made: bool = False

    @property
    def key(self) -> Key:
        return self.instrument_id, self.frame.code, self.candle.close_time


@dataclass(slots=True)
class Outcome:
    """What became of a batch, by the instrument's id: how many of the candles that were told were new, invented and new, there already, or
    otherwise than before. `entered` are the keys of those that were new, `replaced` of those that took the place of an invented one. Those
    that were made here are not counted."""

    new: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    invented: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    same: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    corrected: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    entered: set[Key] = field(default_factory=set)
    replaced: set[Key] = field(default_factory=set)


@dataclass(slots=True)
class _Books:
    """Candles as they will stand when the batch is written."""

    stored: dict[Key, rows.Candle]
    fresh: dict[Key, Told] = field(default_factory=dict)
    changed: dict[Key, Told] = field(default_factory=dict)

    def at(self, key: Key) -> tuple[Candle, bool] | None:
        """The candle and whether it is invented."""
        for told in (self.changed.get(key), self.fresh.get(key)):
            if told is not None:
                return told.candle, told.invented
        row = self.stored.get(key)
        return None if row is None else (row.value(), row.is_synthetic)


def settle_candles(
    told: Sequence[Told], prices: Sequence[feeds.Price], now: datetime, *, correct: bool = True, tell: bool = True
) -> Outcome:
    """Bring closed candles and the newest prices into the books, in one transaction; so many queries however many there are.

    Without `correct` what differs from a stored candle is only counted; without `tell` no event says that they closed.
    """
    outcome = Outcome()
    exact = [Told(t.instrument_id, t.frame, _exact(t.candle), t.invented) for t in told]
    with transaction.atomic():
        books = _Books(_stored([t.key for t in exact]))
        for each in exact:
            _count(outcome, books, each, _take(books, each, correct))
        _make_higher(books)
        _write(books, prices, now, tell)
    return outcome


def _take(books: _Books, told: Told, correct: bool = True) -> str:
    """Enter one candle; what became of it: "new", "same" or "corrected"."""
    there = books.at(told.key)
    if there is None:
        books.fresh[told.key] = told
        return "new"
    candle, invented = there
    if told.invented or (candle == told.candle and not invented):
        return "same"
    if told.key in books.fresh:
        books.fresh[told.key] = told
        return "new"
    if correct or invented:
        books.changed[told.key] = told
    return "corrected"


def _count(outcome: Outcome, books: _Books, told: Told, became: str) -> None:
    counts = outcome.invented if told.invented and became == "new" else getattr(outcome, became)
    counts[told.instrument_id] += 1
    if became == "new":
        outcome.entered.add(told.key)
    elif became == "corrected" and (row := books.stored.get(told.key)) is not None and row.is_synthetic:
        outcome.replaced.add(told.key)


def _make_higher(books: _Books) -> None:
    """Make the candles of higher timeframes whose parts are all there, level by level: two queries for each level that is touched.

    One that is there already is made anew only where a part of it was corrected, or where it was invented.
    """
    for code, part in MADE_OF.items():
        whole, parts = timeframe(code), timeframe(part)
        touched = _touched(books, whole, part)
        if not touched:
            continue
        wanted = [(key, part, close) for key, end in touched for close in _parts_of(end, whole, parts)]
        missing = [(key, code, end) for key, end in touched] + wanted
        books.stored |= _stored([key for key in missing if key not in books.stored])
        for instrument_id, end in touched:
            made = _made(books, instrument_id, whole, parts, end)
            if made is not None and _may_stand(books, made, part, touched[instrument_id, end]):
                _take(books, made)


def _touched(books: _Books, whole: Timeframe, part: str) -> dict[tuple[int, datetime], bool]:
    """The higher candles that what was entered belongs to, and whether any part of each was corrected."""
    touched: dict[tuple[int, datetime], bool] = {}
    for told in (*books.fresh.values(), *books.changed.values()):
        if told.frame.code == part:
            close = told.candle.close_time
            end = close if whole.is_close(close) else whole.next_close(close)
            touched[told.instrument_id, end] = touched.get((told.instrument_id, end), False) or (
                told.key in books.changed
            )
    return touched


def _parts_of(end: datetime, whole: Timeframe, parts: Timeframe) -> list[datetime]:
    return [end - parts.length * n for n in reversed(range(whole.seconds // parts.seconds))]


def _made(books: _Books, instrument_id: int, whole: Timeframe, parts: Timeframe, end: datetime) -> Told | None:
    """The higher candle, None while a part is missing. It is invented where every part is: else its market has traded in it."""
    found = [books.at((instrument_id, parts.code, close)) for close in _parts_of(end, whole, parts)]
    there = [each for each in found if each is not None]
    if len(there) < len(found):
        return None
    return Told(instrument_id, whole, fold([c for c, _ in there], end), all(i for _, i in there), made=True)


def _may_stand(books: _Books, made: Told, part: str, is_corrected: bool) -> bool:
    there = books.at(made.key)
    return there is None or is_corrected or (there[1] and not made.invented)


def fold(parts: Sequence[Candle], close: datetime) -> Candle:
    """One candle of several that follow each other, oldest first."""
    volume = settle(sum((candle.volume for candle in parts), parts[0].volume * 0))
    high, low = max(candle.high for candle in parts), min(candle.low for candle in parts)
    return Candle(close, parts[0].open, high, low, parts[-1].close, volume)


def _stored(keys: Iterable[Key]) -> dict[Key, rows.Candle]:
    """The rows of these keys that there are. One query, which may look at more: all of these times of all of these instruments."""
    wanted = set(keys)
    if not wanted:
        return {}
    mine, ids = fast.among("instrument_id", sorted({key for key, _, _ in wanted}))
    framed, codes = fast.among("timeframe", sorted({code for _, code, _ in wanted}))
    times = sorted({close for _, _, close in wanted})
    first, last = (fast.prepared(rows.Candle, "close_time", moment) for moment in (times[0], times[-1]))
    where = f"{mine} AND {framed} AND close_time >= %s AND close_time <= %s"
    found = fast.select(rows.Candle, where, [*ids, *codes, first, last])
    by_key = {(row.instrument_id, row.timeframe, row.close_time): row for row in found}
    return {key: row for key, row in by_key.items() if key in wanted}


def _write(books: _Books, prices: Sequence[feeds.Price], now: datetime, tell: bool) -> None:
    fresh = sorted(books.fresh.values(), key=lambda t: (t.candle.close_time, t.frame.seconds, t.instrument_id))
    corrections = [_correction(books.stored[key], told, now) for key, told in books.changed.items()]
    facts = [feeds.closed_fact(t.instrument_id, t.frame, t.candle) for t in fresh if tell and not t.invented]
    facts += [_corrected_fact(row, now) for row in corrections]
    fast.write_together(
        fast.Insert([_row(told) for told in fresh], "ON CONFLICT DO NOTHING"),
        fast.Insert(corrections),
        feeds.latest(prices),
        outbox.prepared(facts),
    )
    if books.changed:
        changed = [_changed(books.stored[key], told) for key, told in books.changed.items()]
        fast.update(changed, ("open", "high", "low", "close", "volume", "is_synthetic"))
        ring_on_commit("corrections", everywhere=True)
    ring_on_commit("prices")


def _row(told: Told) -> rows.Candle:
    candle = told.candle
    return fast.new(
        rows.Candle,
        instrument_id=told.instrument_id,
        timeframe=told.frame.code,
        close_time=candle.close_time,
        open=candle.open,
        high=candle.high,
        low=candle.low,
        close=candle.close,
        volume=candle.volume,
        is_synthetic=told.invented,
    )


def _changed(row: rows.Candle, told: Told) -> rows.Candle:
    fresh = _row(told)
    fresh.pk = row.pk
    return fresh


def _correction(row: rows.Candle, told: Told, now: datetime) -> CandleCorrection:
    return fast.new(
        CandleCorrection,
        instrument_id=told.instrument_id,
        timeframe=told.frame.code,
        close_time=told.candle.close_time,
        at=now,
        before=_said(row.value(), row.is_synthetic),
        after=_said(told.candle, told.invented),
    )


def _said(candle: Candle, invented: bool) -> Mapping[str, object]:
    values = {name: plain(getattr(candle, name)) for name in ("open", "high", "low", "close", "volume")}
    return {**values, "synthetic": invented}


def _corrected_fact(row: CandleCorrection, now: datetime) -> Fact:
    payload = {"instrument": row.instrument_id, "timeframe": row.timeframe, "close_time": row.close_time.isoformat()}
    return Fact("candle_corrected", None, now, payload)


def _exact(candle: Candle) -> Candle:
    """The candle in the ten decimals that are stored."""
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return Candle(candle.close_time, *map(settle, numbers))
