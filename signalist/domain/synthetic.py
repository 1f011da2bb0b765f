"""A seeded market: prices of invented instruments, the same for everybody who asks with the same seed.

Once a second a tick follows from the tick before it and from hash(seed, symbol, second), never from a stream that is shared, so a
market that was stopped goes on from its last stored close as if it had never stopped. Behind the ticks stands a worth that nobody
sees: it travels between waypoints, drawn the same way around a base level, and the price strays about it. So there are trends, ranges,
and now and then agitation, and prices stay where they began. A ten-second candle is made of its ten ticks and opens at the close
before it; a minute is made of its six.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from .candles import Candle
from .errors import DomainError
from .instruments import InstrumentSpec
from .timeframes import Timeframe, timeframe

SEED = 20
TEN_SECONDS, MINUTE = timeframe("10s"), timeframe("1m")
PER_MINUTE = MINUTE.seconds // TEN_SECONDS.seconds

LEG, JOURNEY = 2400, 10_800
"""Seconds between two waypoints of the quick and of the slow part of the worth."""
QUICK, SLOW = 75.0, 75.0
"""How far their waypoints lie from the base level at most, in standard deviations of a second."""
CALM = 30.0
"""A leg between waypoints that are nearer to each other than this, in the same measure, is a range."""
PULL = 1 / 100
"""The share of its distance from the worth by which a price is drawn back in a second."""
REACH = Decimal("0.15")
"""No price leaves the base level by more than this share of it."""

_NORMAL = 3**0.5
"""Makes the sum of four uniform draws (variance 1/3) one of variance 1."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Regime(StrEnum):
    """The mood of a leg: where the worth travels, or that prices stray much farther than usual."""

    UP = "UP"
    DOWN = "DOWN"
    RANGE = "RANGE"
    AGITATED = "AGITATED"


@dataclass(frozen=True, slots=True)
class Profile:
    """An invented instrument. `level` is where its price began, in quote currency, and `volatility` the standard deviation of a second
    as a share of the price; `turnover` is base units traded in an ordinary second. `pair` is what instruments elsewhere share with it.
    """

    spec: InstrumentSpec
    pair: str
    level: Decimal
    volatility: float
    turnover: Decimal

    def __post_init__(self) -> None:
        if self.spec.price(self.level) != self.level:
            raise DomainError(f"The level {self.level} is not on the price grid of {self.spec.name}.")


@dataclass(frozen=True, slots=True)
class Closed:
    """A candle that closed."""

    frame: Timeframe
    candle: Candle


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a market stands: its price at a whole second (aware UTC), and what has begun but not closed.

    `price` and the extremes count ticks of the instrument, `volume` counts lots. `opened` is the price at the last close; `minute`
    are the ten-second candles of the minute that has begun, none where the walk did not see its beginning.
    """

    profile: Profile
    seed: int
    at: datetime
    price: int
    opened: int
    high: int
    low: int
    volume: int = 0
    minute: tuple[Candle, ...] = ()

    @property
    def value(self) -> Decimal:
        """The price in quote currency."""
        return self.price * self.profile.spec.tick

    def to(self, until: datetime) -> tuple[Walk, tuple[Closed, ...]]:
        """The walk at the last whole second up to `until`, and the candles that closed on the way, in order of time."""
        walk, closed = self, list[Closed]()
        last = (until - _EPOCH) // timedelta(seconds=1)
        while (second := (walk.at - _EPOCH) // timedelta(seconds=1)) < last:
            boundary = second // TEN_SECONDS.seconds * TEN_SECONDS.seconds + TEN_SECONDS.seconds
            walk = _walked(walk, second, min(last, boundary))
            if boundary <= last:
                walk, news = _close(walk)
                closed += news
        return walk, tuple(closed)


def begin(profile: Profile, seed: int, at: datetime, price: Decimal | None = None) -> Walk:
    """A walk that starts at the close `at` of a ten-second candle, at `price` or at the level. Raises DomainError off the boundary."""
    if not TEN_SECONDS.is_close(at):
        raise DomainError(f"A synthetic market begins at the close of a ten-second candle, not at {at.isoformat()}.")
    ticks = int((profile.level if price is None else price) / profile.spec.tick)
    return Walk(profile, seed, at, ticks, ticks, ticks, ticks)


def resume(profile: Profile, seed: int, candles: Sequence[Candle]) -> Walk:
    """The walk that goes on after ten-second `candles` (oldest first, at least one), which were stored before it stopped."""
    last = candles[-1]
    since = MINUTE.last_close(last.close_time)
    begun = tuple(candle for candle in candles if candle.close_time > since)
    whole = len(begun) == (last.close_time - since) // TEN_SECONDS.length
    return replace(begin(profile, seed, last.close_time, last.close), minute=begun if whole else ())


def folded(candles: Sequence[Candle]) -> Candle:
    """The longer candle that consecutive `candles` (oldest first) make up."""
    return Candle(
        candles[-1].close_time,
        candles[0].open,
        max(candle.high for candle in candles),
        min(candle.low for candle in candles),
        candles[-1].close,
        sum((candle.volume for candle in candles), Decimal(0)),
    )


def regime(symbol: str, seed: int, second: int) -> Regime:
    """The regime of a symbol at an epoch second."""
    leg = second // LEG
    if _drawn(seed, symbol, "agitated", leg) < 0.1:
        return Regime.AGITATED
    way = (_waypoint(seed, symbol, "quick", leg + 1) - _waypoint(seed, symbol, "quick", leg)) * QUICK
    if abs(way) < CALM:
        return Regime.RANGE
    return Regime.UP if way > 0 else Regime.DOWN


def worth(profile: Profile, seed: int, second: int) -> float:
    """What the instrument is worth at an epoch second, in quote currency."""
    symbol = profile.spec.symbol
    quick, slow = _between(seed, symbol, "quick", second, LEG), _between(seed, symbol, "slow", second, JOURNEY)
    return float(profile.level) * (1 + profile.volatility * (QUICK * quick + SLOW * slow))


def _between(seed: int, symbol: str, part: str, second: int, length: int) -> float:
    """The straight way from the last waypoint to the next, -1 to 1."""
    leg, past = divmod(second, length)
    begin, end = _waypoint(seed, symbol, part, leg), _waypoint(seed, symbol, part, leg + 1)
    return begin + (end - begin) * (past / length)


def _waypoint(seed: int, symbol: str, part: str, leg: int) -> float:
    return 2 * _drawn(seed, symbol, part, leg) - 1


@lru_cache(maxsize=1024)
def _drawn(seed: int, symbol: str, what: str, leg: int) -> float:
    """A number in [0, 1)."""
    number: int = struct.unpack_from(">I", _digest(seed, symbol, what, str(leg)))[0]
    return number / (1 << 32)


def _walked(walk: Walk, second: int, last: int) -> Walk:
    """The ticks of the seconds behind `second` up to `last`, all of one candle."""
    profile, price, high, low, volume = walk.profile, walk.price, walk.high, walk.low, walk.volume
    for moment in range(second + 1, last + 1):
        price, traded = _tick(profile, walk.seed, price, moment)
        high, low, volume = max(high, price), min(low, price), volume + traded
    return replace(walk, at=_moment(last), price=price, high=high, low=low, volume=volume)


def _tick(profile: Profile, seed: int, price: int, second: int) -> tuple[int, int]:
    """The price in ticks at `second`, a second after it was `price`, and the lots traded meanwhile."""
    spec = profile.spec
    a, b, c, d, busy, shock = struct.unpack_from(">6I", _digest(seed, spec.symbol, "tick", str(second)))
    agitated = regime(spec.symbol, seed, second) is Regime.AGITATED
    noise = ((a + b + c + d) / (1 << 32) - 2) * _NORMAL * profile.volatility
    if agitated:
        noise *= 1.7
    if shock < (1 << 32) // 600:
        noise *= 3
    tick, level = float(spec.tick), int(profile.level / spec.tick)
    change = price * noise + (worth(profile, seed, second) / tick - price) * PULL
    reach = int(level * REACH)
    lots = int(profile.turnover / spec.lot)
    moved = min(max(price + round(change), level - reach), level + reach)
    return moved, lots * (1 + busy % 8) * (2 if agitated else 1) // 4


def _close(walk: Walk) -> tuple[Walk, list[Closed]]:
    """Close the ten-second candle that ends here, and the minute where it is whole."""
    spec = walk.profile.spec
    opened, high, low, last = (ticks * spec.tick for ticks in (walk.opened, walk.high, walk.low, walk.price))
    candle = Candle(walk.at, opened, high, low, last, walk.volume * spec.lot)
    closed, minute = [Closed(TEN_SECONDS, candle)], (*walk.minute, candle)
    first = MINUTE.last_close(walk.at - TEN_SECONDS.length) + TEN_SECONDS.length
    if minute[0].close_time != first:
        minute = ()  # it began before the walk did
    elif len(minute) == PER_MINUTE:
        closed, minute = [*closed, Closed(MINUTE, folded(minute))], ()
    price = walk.price
    return replace(walk, opened=price, high=price, low=price, volume=0, minute=minute), closed


def _digest(seed: int, *key: str) -> bytes:
    return hashlib.sha256("\x1f".join((str(seed), *key)).encode()).digest()


def _moment(second: int) -> datetime:
    return _EPOCH + timedelta(seconds=second)
