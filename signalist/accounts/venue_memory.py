"""What engines note of venues, so that it outlives them: how far nonces are taken, and which doors are closed until when.

Plain functions of the database; an engine calls them on its writer thread and hands them to `transport.nonces` and `transport.ledger`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction

from signalist.accounts.models import VenueBan

_RESERVE = """
INSERT INTO accounts_venuenonces AS n (credential, reserved_to) VALUES {rows}
ON CONFLICT (credential) DO UPDATE SET reserved_to =
  CASE WHEN n.reserved_to > EXCLUDED.reserved_to - %s THEN n.reserved_to + %s ELSE EXCLUDED.reserved_to END
RETURNING credential, reserved_to
"""


def reserve(wanted: Mapping[str, int], block: int) -> dict[str, int]:
    """Put a block of nonces on record for each of these credentials, in one statement; returns the first of each, which is what is
    wanted at least, or above all that were on record for it."""
    rows = sorted(wanted.items())  # in order: two engines that reserve for the same ones must not wait for each other
    if not rows:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            _RESERVE.format(rows=", ".join(["(%s, %s)"] * len(rows))),
            [value for name, first in rows for value in (name, first + block)] + [block, block],
        )
        return {name: to - block for name, to in cursor.fetchall()}


def close(door: str, until: datetime) -> None:
    """Note that nobody may knock at this door before `until`; a later moment that is known already stands."""
    with transaction.atomic():
        VenueBan.objects.bulk_create([VenueBan(door=door, until=until)], ignore_conflicts=True)
        VenueBan.objects.filter(door=door, until__lt=until).update(until=until)


def closed(now: datetime) -> dict[str, float]:
    """The doors that are closed at `now`, and for how many seconds; what is long open again is forgotten."""
    VenueBan.objects.filter(until__lt=now - timedelta(days=1)).delete()
    found = VenueBan.objects.filter(until__gt=now).order_by("door")
    return {ban.door: (ban.until - now).total_seconds() for ban in found}
