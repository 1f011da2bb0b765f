"""What is done to the event log from time to time: facts are kept for a week."""

from __future__ import annotations

from datetime import datetime, timedelta

from signalist.db import retention
from signalist.events.models import Event

KEPT = timedelta(days=7)
AT_ONCE = 2000


def delete_old(now: datetime) -> int:
    """Delete the events that are older than a week at `now`, in short transactions; returns how many. Needs the door across tenants.

    On PostgreSQL a policy asks the server's clock whether they are.
    """
    deleted = 0
    # In order of id, not of time: the table has no index on time, and what is old stands at its beginning.
    while found := list(Event.objects.order_by("pk").values_list("pk", "at")[:AT_ONCE]):
        gone = retention.delete_keys(Event, [key for key, at in found if at < now - KEPT])
        deleted += gone
        if gone < AT_ONCE:
            break
    return deleted
