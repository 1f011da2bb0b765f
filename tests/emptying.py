"""Empties the database between tests that commit: only what was filled, and not what migrations have put there.

Django's own way truncates every table and makes all permissions anew, which takes longer than most of these tests.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection, transaction

from signalist.audit import triggers
from tenants.doors import across_tenants

_given: set[str] = set()


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
