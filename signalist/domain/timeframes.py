"""The one list of timeframes and the arithmetic of candle closes, in UTC (CON-46, CON-48, CON-49)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .errors import DomainError


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A candle's length. `code` is the only spelling used in the product; boundaries are multiples of it since 1970-01-01 UTC."""

    code: str
    seconds: int
    synthetic_only: bool = False

    @property
    def length(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def is_close(self, moment: datetime) -> bool:
        """Whether a candle of this length closes exactly at `moment`."""
        return moment.microsecond == 0 and int(_utc(moment).timestamp()) % self.seconds == 0

    def last_close(self, moment: datetime) -> datetime:
        """The close of the newest candle that is complete at `moment` (floored; `moment` itself when it is a boundary)."""
        seconds = int(_utc(moment).timestamp() // self.seconds) * self.seconds
        return datetime.fromtimestamp(seconds, UTC)

    def next_close(self, moment: datetime) -> datetime:
        """The first close strictly after `moment`."""
        return self.last_close(moment) + self.length

    def open_of(self, close: datetime) -> datetime:
        """When the candle that closes at `close` began. Raises DomainError off the boundary."""
        if not self.is_close(close):
            raise DomainError(f"{close.isoformat()} is not the close of a {self.code} candle.")
        return close - self.length


TIMEFRAMES: tuple[Timeframe, ...] = (
    Timeframe("10s", 10, synthetic_only=True),
    Timeframe("1m", 60),
    Timeframe("5m", 300),
    Timeframe("15m", 900),
    Timeframe("30m", 1_800),
    Timeframe("1h", 3_600),
    Timeframe("2h", 7_200),
    Timeframe("4h", 14_400),
    Timeframe("1d", 86_400),
)
_BY_CODE = {frame.code: frame for frame in TIMEFRAMES}


def timeframe(code: str) -> Timeframe:
    """The timeframe spelled `code`. Raises DomainError that lists the spellings that exist."""
    try:
        return _BY_CODE[code]
    except KeyError:
        known = ", ".join(frame.code for frame in TIMEFRAMES)
        raise DomainError(f"{code!r} is not a timeframe; use one of {known}.") from None


def interval_key(close: datetime, frame: Timeframe) -> str:
    """The name of one candle: its close in UTC and the timeframe, `2024-01-01T10:05:00Z_5m` (EXE-05, CON-46)."""
    return f"{_utc(frame.last_close(close)):%Y-%m-%dT%H:%M:%SZ}_{frame.code}"


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise DomainError(f"{moment.isoformat()} has no time zone; candle times are aware and in UTC.")
    return moment.astimezone(UTC)
