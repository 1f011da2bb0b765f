"""Empties the database between tests that commit: only what was filled, and not what migrations have put there.

Django's own way truncates every table and makes all permissions anew, which takes longer than most of these tests.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from functools import cache

from django.db import DatabaseError, connection, transaction

from signalist.audit import triggers
from tenants.doors import across_tenants

_given: set[str] = set()
_others: list[str] = []
_deletable: set[str] = set()
"""Tables from which policies let the tests' role delete; what they say of a table does not change."""
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
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        _given.update(_filled(tables))
        _others[:] = sorted(set(tables) - _given)


def empty() -> None:
    """Delete the rows of all other tables."""
    with across_tenants("tests"):
        filled = _filled(_others)
        if not filled:
            return
        recorded = not set(triggers.LEDGERS).isdisjoint(filled)
        with transaction.atomic() if connection.vendor == "sqlite" else nullcontext():
            if recorded and not _may_pass_triggers():
                triggers.disarm()
            _empty(filled)
            if recorded:
                triggers.arm()


def _empty(filled: Collection[str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        if passing := _may_pass_triggers():
            cursor.execute("SET LOCAL session_replication_role = replica")
        for table in filled:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        unknown = [table for table in filled if table not in _deletable]
        left = _filled(unknown) if unknown else []
        _deletable.update(set(unknown) - set(left))
        if passing:
            _truncate(left)
    if not passing:
        _truncate(left)


def _truncate(tables: Collection[str]) -> None:
    """Empty tables from which a policy lets nobody delete."""
    if tables:
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(map(connection.ops.quote_name, tables))} CASCADE")


@cache
def _may_pass_triggers() -> bool:
    """Whether this role may have no trigger fire: neither those of the ledgers nor a look at every table that may point to a row."""
    if connection.vendor == "sqlite" or connection.pg_version < 150000:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
        return bool(cursor.fetchone() == (True,))


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
