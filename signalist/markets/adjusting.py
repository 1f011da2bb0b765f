"""What staff may change of the markets while everything runs: the usual periods of indicators, for how long rows are kept, how many
connections there may be. A row in `MarketSetting` stands in the place of a default; every process hears of it within `KEPT` seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from signalist.audit.writing import record
from signalist.clock import monotonic, utc_now
from signalist.domain.timeframes import TIMEFRAMES
from signalist.markets.setting_models import MarketSetting

if TYPE_CHECKING:
    from tenants.models import User

KEPT = 20.0
"""Seconds that what was read is kept."""
FOR_EVER = 0
DAY = 86_400
BARS_KEPT = 500
"""Candles of a timeframe that are kept at least: strategies and pages look back that far."""


class OutOfBounds(ValueError):
    """A value that cannot be set; the words are for staff."""


@dataclass(frozen=True, slots=True)
class Adjustable:
    """A whole number that may be changed, from `lowest` to `highest`; `also` is one value beside them, with what it means."""

    name: str
    words: str
    lowest: int
    highest: int
    default: Callable[[], int]
    also: Mapping[int, str]

    def checked(self, value: int) -> int:
        """The value. Raises OutOfBounds with a sentence that names the bounds."""
        if self.lowest <= value <= self.highest or value in self.also:
            return value
        more = "".join(f", or {other} {meaning}" for other, meaning in self.also.items())
        raise OutOfBounds(f"{self.name} ({self.words}) is from {self.lowest} to {self.highest}{more}; {value} is not.")


def _fixed(value: int) -> Callable[[], int]:
    return lambda: value


def _kept_days(code: str) -> Callable[[], int]:
    return lambda: 2 if code == "10s" else settings.CANDLE_DAYS.get(code, FOR_EVER)


def _all() -> Iterable[Adjustable]:
    periods = {
        "sma": 20, "ema_short": 5, "ema_long": 20, "bollinger": 20, "rsi": 14, "atr": 14, "volatility": 20, "width": 20,
    }  # fmt: skip
    for kind, usual in periods.items():
        words = f"candles that {kind.replace('_', ', ')} looks at where nobody says how many"
        yield Adjustable(f"period.{kind}", words, 2, 200, _fixed(usual), {})
    yield Adjustable("level.rsi_low", "below it RSI counts as low on pages", 1, 49, _fixed(30), {})
    yield Adjustable("level.rsi_high", "above it RSI counts as high on pages", 51, 99, _fixed(70), {})
    for frame in TIMEFRAMES:
        lowest = 1 if frame.synthetic_only else max(7, -(-BARS_KEPT * frame.seconds // DAY))
        also = {} if frame.synthetic_only else {FOR_EVER: "for ever"}
        words = f"days that closed candles of {frame.code} are kept"
        yield Adjustable(f"keep.{frame.code}", words, lowest, 36_500, _kept_days(frame.code), also)
    yield Adjustable("keep.corrections", "days that corrections of candles are kept", 7, 3_650, _fixed(90), {})
    yield Adjustable("keep.streams", "days that ended stream sessions of clients are kept", 1, 365, _fixed(30), {})
    yield Adjustable("connections.person", "open pages of one person in one web process", 1, 500, _fixed(40), {})
    yield Adjustable("connections.process", "open pages in one web process", 10, 20_000, _fixed(10_000), {})
    yield Adjustable("connections.prices", "markets whose prices one page may follow", 1, 200, _fixed(200), {})
    words = "subscriptions on one connection to a venue, where the venue itself takes as many"
    yield Adjustable("feed.per_connection", words, 2, 10_000, _fixed(10_000), {})
    yield Adjustable("feed.past", "candles of the past that a market begins with", 50, 1_440, _fixed(300), {})


ADJUSTABLE: Mapping[str, Adjustable] = {each.name: each for each in _all()}


class _Values:
    """What was set, read by one query every `KEPT` seconds; an instant's delay is nobody's harm."""

    def __init__(self) -> None:
        self._set: dict[str, int] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def get(self, name: str) -> int | None:
        with self._lock:
            if monotonic() - self._read_at > KEPT:
                found = MarketSetting.objects.order_by("pk").values_list("name", "value")
                self._set, self._read_at = dict(found), monotonic()
            return self._set.get(name)

    def forget(self) -> None:
        with self._lock:
            self._read_at = float("-inf")


_values = _Values()
forget = _values.forget


def set_to(name: str) -> int | None:
    """What staff has set, None where the default holds. One query at most."""
    return _values.get(ADJUSTABLE[name].name)


def adjusted(name: str) -> int:
    """The value that holds now. One query at most. Raises KeyError for a name that is none."""
    known = ADJUSTABLE[name]
    found = _values.get(name)
    return known.default() if found is None else found


def adjust(by: User, name: str, value: int | None) -> None:
    """Set a value, or (None) have its default hold again; on record. Raises OutOfBounds."""
    known = ADJUSTABLE.get(name)
    if known is None:
        raise OutOfBounds(f"{name} is nothing that can be set here; there are {', '.join(ADJUSTABLE)}.")
    with transaction.atomic():
        there = MarketSetting.objects.filter(name=name)
        before = there.values_list("value", flat=True).first()
        if value is None:
            there.delete()
        else:
            known.checked(value)
            MarketSetting.objects.update_or_create(name=name, defaults={"value": value, "changed_at": utc_now()})
        after = known.default() if value is None else value
        told = {"from": known.default() if before is None else before, "to": after}
        record("market.setting_changed", tenant_id=None, user_id=by.pk, target=name, details=told)
    forget()
