"""The line of what accounts were worth, minute by minute, and how far below its highest point they stand.

Amounts of several currencies are valued at the rates that are handed in, so that the line shows trading and not exchange rates.
Points are floats: they are drawn, not booked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connection

from signalist.db import fast
from signalist.trading.models import EquityPoint

Points = list[tuple[datetime, float]]
Rates = Mapping[int, float]
"""By account, what one unit of its currency is worth in the line's."""

PERIODS: dict[str, tuple[str, timedelta | None]] = {
    "1h": ("1H", timedelta(hours=1)),
    "1d": ("1D", timedelta(days=1)),
    "30d": ("30D", timedelta(days=30)),
    "all": ("All", None),
}
PEAK_OF = timedelta(days=30)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def line(rates: Rates, since: datetime | None) -> Points:
    """What the accounts of `rates` were worth together at each noted moment from `since` on. One query.

    An account counts from its first point on, and with its newest one while it has none.
    """
    if not rates:
        return []
    newest: dict[int, float] = {}
    found: Points = []
    for at, points in groupby(_rows(rates, since or _BEGINNING), key=itemgetter(1)):
        newest |= {key: float(equity) * rates[key] for key, _, equity in points}
        found.append((_utc(at), sum(newest.values())))
    return found


def peak(rates: Rates, now: datetime) -> float | None:
    """The highest point of the last thirty days; None without any. Asked once a minute, as often as there are new points."""
    return _peak(tuple(sorted(rates.items())), now.replace(second=0, microsecond=0))


def forget_peaks() -> None:
    """Ask anew from now on."""
    _peak.cache_clear()


@lru_cache(maxsize=512)
def _peak(rates: tuple[tuple[int, float], ...], minute: datetime) -> float | None:
    return max((value for _, value in line(dict(rates), minute - PEAK_OF)), default=None)


def _rows(rates: Rates, since: datetime) -> list[tuple[Any, ...]]:
    """(account, time, equity) in order of time. Thousands of rows: SQLite's times stay texts until they are known to be needed."""
    mine, ids = fast.among("account_id", sorted(rates))
    at = "at" if connection.vendor == "postgresql" else "CAST(at AS TEXT)"
    return fast.tuples(
        f"SELECT account_id, {at}, equity FROM trading_equitypoint WHERE {mine} AND at >= %s ORDER BY at, account_id",  # noqa: S608 our own words
        [*ids, fast.prepared(EquityPoint, "at", since)],
    )


def _utc(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at
