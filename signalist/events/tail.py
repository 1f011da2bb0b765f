"""Reading the log in commit order, without ever missing an event that was committed late.

PostgreSQL gives ids before commit, so a reader that follows ids can pass over a transaction still open. Here only rows of
transactions older than every one still running are read (`xid < pg_snapshot_xmin`), in the order (xid, id).
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from signalist.events.models import Event

_SETTLED = """
    SELECT * FROM events_event
    WHERE xid < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint AND (xid, id) > (%s, %s)
    ORDER BY xid, id LIMIT %s
"""


_NEWEST = """
    SELECT xid, id FROM events_event
    WHERE xid < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
    ORDER BY xid DESC, id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the log, ordered as the log is; the default is its beginning."""

    xid: int = 0
    id: int = 0


def read(after: Cursor, limit: int = 500) -> tuple[list[Event], Cursor]:
    """The settled events behind `after`, at most `limit`, and the place behind them."""
    if connection.vendor == "postgresql":
        events = list(Event.objects.raw(_SETTLED, [after.xid, after.id, limit]))
    else:
        events = list(Event.objects.filter(id__gt=after.id).order_by("id")[:limit])
    return events, Cursor(events[-1].xid, events[-1].pk) if events else after


def ends() -> tuple[Cursor, Cursor]:
    """The place before the oldest event that is kept, and the one behind the newest that is settled."""
    oldest = Event.objects.order_by("xid", "id").values_list("xid", "id").first()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_NEWEST)
        else:
            cursor.execute("SELECT xid, id FROM events_event ORDER BY id DESC LIMIT 1")
        newest = cursor.fetchone()
    begin = Cursor(oldest[0], oldest[1] - 1) if oldest else Cursor()
    return begin, Cursor(*newest) if newest else Cursor()
