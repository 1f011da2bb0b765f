"""What is done to the rows of the money path from time to time: old equity points are thinned to three an hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from django.db import connection

from signalist.db import fast, retention
from signalist.trading.models import EquityPoint

DENSE = timedelta(days=2)
"""How long every point is kept."""
HOUR = timedelta(hours=1)
MOST_HOURS = 10_000
"""Of one account each, that a run of the job thins at most: the rest is left to the next one."""
AT_ONCE = 100
"""Accounts of which an hour is thinned in one transaction."""
KEPT_OF_AN_HOUR = 3

_CROWDED = """
    SELECT account_id, MIN(at) FROM trading_equitypoint WHERE at < %s
    GROUP BY account_id, {hour} HAVING COUNT(*) > %s ORDER BY 2, 1 LIMIT %s
"""

Point = tuple[int, int, datetime, Decimal]
"""Primary key, account, time and equity."""


def thin_equity(now: datetime) -> int:
    """Of each hour of each account keep the first, the highest and the lowest point where they are old; returns how many are gone.

    So a line that is drawn through them reaches as high and as low as it did. However long the job has not run, nothing is left out.
    `now` is market time. Needs the door across tenants.
    """
    deleted = 0
    for hour, accounts in _crowded(_hour(now - DENSE)):
        found = EquityPoint.objects.filter(account_id__in=accounts, at__gte=hour, at__lt=hour + HOUR)
        points = found.order_by("account_id", "at").values_list("pk", "account_id", "at", "equity")
        needless = [key for _, each in groupby(points, lambda point: point[1]) for key in _needless(list(each))]
        deleted += retention.delete_keys(EquityPoint, needless)
    return deleted


def _crowded(until: datetime) -> Iterator[tuple[datetime, list[int]]]:
    """The hours that end by `until` and hold more points of an account than are kept, the oldest first, with some such accounts."""
    # One way to the hour for each database, both of UTC: PostgreSQL's connection is, and SQLite's texts are.
    hour = "date_trunc('hour', at)" if connection.vendor == "postgresql" else "substr(at, 1, 13)"
    moment = fast.prepared(EquityPoint, "at", until)
    found = fast.tuples(_CROWDED.replace("{hour}", hour), [moment, KEPT_OF_AN_HOUR, MOST_HOURS])
    hours = sorted((_hour(fast.utc(first)), account_id) for account_id, first in found)
    for begin, together in groupby(hours, lambda pair: pair[0]):
        accounts = [account_id for _, account_id in together]
        for start in range(0, len(accounts), AT_ONCE):
            yield begin, accounts[start : start + AT_ONCE]


def _needless(points: Sequence[Point]) -> list[int]:
    """The points of an account's hour, oldest first, that tell nothing more than the first, the highest and the lowest."""
    highest = max(points, key=lambda point: point[3])
    lowest = min(points, key=lambda point: point[3])
    kept = {points[0][0], highest[0], lowest[0]}
    return [point[0] for point in points if point[0] not in kept]


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
