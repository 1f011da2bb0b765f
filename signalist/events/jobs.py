"""What is done to the event log from time to time: facts are kept for a week."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from signalist.events.models import Event

KEPT = timedelta(days=7)
AT_ONCE = 2000


def delete_old(now: datetime) -> int:
    """Delete the events that are older than a week at `now`, in short transactions; returns how many. Needs the door across tenants."""
    deleted = 0
    # In order of id, not of time: the table has no index on time, and what is old stands at its beginning.
    while found := list(Event.objects.order_by("pk").values_list("pk", "at")[:AT_ONCE]):
        old = [key for key, at in found if at < now - KEPT]
        with transaction.atomic():
            Event.objects.filter(pk__in=old).delete()
        deleted += len(old)
        if len(old) < AT_ONCE:
            break
    return deleted
