"""The line of what accounts were worth, minute by minute, and how far below its highest point they stand.

Amounts of several currencies are valued at the rates that are handed in, so that the line shows trading and not exchange rates.
Points are floats: they are drawn, not booked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
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
FINE = timedelta(days=30)
MOST_DAYS = 365
_A_MOMENT = timedelta(microseconds=1)


def line(rates: Rates, since: datetime, before: Mapping[int, float] | None = None) -> Points:
    """What the accounts of `rates` were worth together at each noted moment from `since` on. One query.

    An account counts from its first point on, and with its newest one while it has none; `before` is what each was worth before `since`.
    """
    if not rates:
        return []
    newest = dict(before or {})
    found: Points = []
    for at, points in groupby(_rows(rates, since), key=itemgetter(1)):
        newest |= {key: float(equity) * rates[key] for key, _, equity in points}
        found.append((fast.utc(at), sum(newest.values())))
    return found


def whole_line(rates: Rates, now: datetime) -> Points:
    """The same from the first point on: every one of the last thirty days, and of what was before so many days' beginnings at most.

    Three queries, which read no more the longer the past is.
    """
    begin = _begin(rates)
    if begin is None:
        return []
    fine = (now - FINE).replace(hour=0, minute=0, second=0, microsecond=0)
    if begin >= fine:
        return line(rates, begin)
    step = timedelta(days=-(-((fine - begin).days + 1) // MOST_DAYS))
    moments = [begin, *reversed([fine - step * n for n in range(MOST_DAYS) if fine - step * n > begin])]
    worth = _worth(rates, moments)
    early = [(moment, sum(worth[n].values())) for n, moment in enumerate(moments)]
    return early + line(rates, fine + _A_MOMENT, worth[len(moments) - 1])


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


def _begin(rates: Rates) -> datetime | None:
    """When the first of these accounts was noted first: a look into the index for each."""
    if not rates:
        return None
    chosen, keys = fast.among("id", sorted(rates))
    first = "SELECT MIN(p.at) FROM trading_equitypoint p WHERE p.account_id = a.id"
    found = fast.tuples(f"SELECT ({first}) FROM accounts_account a WHERE a.{chosen}", keys)  # noqa: S608 our own words
    return min((fast.utc(at) for (at,) in found if at is not None), default=None)


def _worth(rates: Rates, moments: Sequence[datetime]) -> list[dict[int, float]]:
    """What each account that had begun was worth at each of `moments`: a look into the index for each of both."""
    # A parameter among values has no type of its own on PostgreSQL, and would be a text.
    place = "CAST(%s AS timestamptz)" if connection.vendor == "postgresql" else "%s"
    values = ", ".join(f"({n}, {place})" for n in range(len(moments)))
    chosen, keys = fast.among("id", sorted(rates))
    found = fast.tuples(
        "SELECT a.id, m.column1, (SELECT p.equity FROM trading_equitypoint p WHERE p.account_id = a.id"  # noqa: S608 our own words
        " AND p.at <= m.column2 ORDER BY p.at DESC LIMIT 1)"
        f" FROM accounts_account a CROSS JOIN (VALUES {values}) AS m WHERE a.{chosen}",
        [*(fast.prepared(EquityPoint, "at", moment) for moment in moments), *keys],
    )
    worth: list[dict[int, float]] = [{} for _ in moments]
    for key, n, equity in found:
        if equity is not None:
            worth[n][key] = float(equity) * rates[key]
    return worth
