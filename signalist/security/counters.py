"""Counts that all processes share, and that lose nothing where two count at once.

In Redis that is INCRBY on Django's cache. Django's table cache reads and writes in two steps, so where that is the cache the counts have a
table of their own, and one statement that adds and tells; so they have while Redis is away.
"""

from __future__ import annotations

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from signalist.clock import utc_now
from signalist.security.models import Counter

_ADD = (
    "INSERT INTO security_counter (key, count, until) VALUES (%s, %s, %s)"
    " ON CONFLICT (key) DO UPDATE SET count = security_counter.count + excluded.count RETURNING count"
)


def add(key: str, amount: int, until: int) -> int:
    """Add `amount` to the count of `key`, which is forgotten some time after `until` (seconds since 1970); the new count."""
    if "DatabaseCache" in settings.CACHES["default"]["BACKEND"]:
        return _in_table(key, amount, until)
    try:
        return _in_cache(key, amount, until)
    except ConnectionError:  # told in the log where it was noticed
        return _in_table(key, amount, until)


def _in_table(key: str, amount: int, until: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [key, amount, until])
        return int(cursor.fetchone()[0])


def _in_cache(key: str, amount: int, until: int) -> int:
    name, left = f"limit:{key}", max(60, until - _now())
    while True:
        cache.add(name, 0, timeout=left)  # does nothing where it is there
        try:
            return int(cache.incr(name, amount))
        except ValueError:  # it ended between the two
            continue


def _now() -> int:
    return int(utc_now().timestamp())


def retire(now: int) -> int:
    """Let go of windows that are over; how many."""
    return Counter.objects.filter(until__lt=now).delete()[0]
