"""Empties the database between tests that commit: only what was filled, and not what migrations have put there.

Django's own way truncates every table and makes all permissions anew, which takes longer than most of these tests.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import DatabaseError, connection, transaction

from signalist.audit import triggers
from tenants.doors import across_tenants

_given: set[str] = set()
# A role, a setting, a channel that is listened to, or a lock that outlives transactions.
_LEFT = """
SELECT current_user <> session_user
    OR EXISTS (SELECT 1 FROM pg_settings WHERE source = 'session')
    OR EXISTS (SELECT 1 FROM pg_listening_channels())
    OR EXISTS (SELECT 1 FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
"""


def remember_what_is_given() -> None:
    """Call once, when the tables have just been made: what they hold now stays."""
    with across_tenants("tests"):
        _given.update(_filled(connection.introspection.django_table_names(only_existing=True, include_views=False)))


def empty() -> None:
    """Delete the rows of all other tables."""
    with across_tenants("tests"):
        tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - _given
        filled = _filled(tables)
        recorded = not set(triggers.LEDGERS).isdisjoint(filled)
        if recorded:
            triggers.disarm()
        with transaction.atomic(), connection.cursor() as cursor:
            for table in filled:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        # What a policy does not let anybody delete.
        if filled and (left := _filled(filled)):
            with connection.cursor() as cursor:
                cursor.execute(f"TRUNCATE {', '.join(map(connection.ops.quote_name, left))} CASCADE")
        if recorded:
            triggers.arm()


def is_as_new() -> bool:
    """Whether the connection can serve another test: it answers, and nothing of the last one is left in its session."""
    if connection.connection is None or connection.in_atomic_block or not connection.get_autocommit():
        return False
    if connection.vendor == "sqlite":
        return bool(connection.is_usable())
    try:
        with connection.cursor() as cursor:
            cursor.execute(_LEFT)
            return bool(cursor.fetchone() == (False,))
    except DatabaseError:
        return False


def _filled(tables: Collection[str]) -> list[str]:
    names = sorted(tables)
    if not names:
        return []  # no test of this run wants the database that would have been made
    each = (
        f"SELECT {n} WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(name)})" for n, name in enumerate(names)
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(each))
        return [names[n] for (n,) in cursor.fetchall()]
