"""What is done to the rows of the money path from time to time: old equity points are thinned to one an hour."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from signalist.trading.models import EquityPoint

DENSE = timedelta(days=2)
"""How long every point is kept."""
LOOK_BACK = timedelta(days=2)
"""How far behind that a run of the job looks: several times how often it runs."""
AT_ONCE = 1000


def thin_equity(now: datetime) -> int:
    """Delete all but the first point of each hour of each account where they are old; returns how many. Needs the door across tenants."""
    until = (now - DENSE).replace(minute=0, second=0, microsecond=0)
    found = EquityPoint.objects.filter(at__lt=until, at__gte=until - LOOK_BACK).order_by("account_id", "at")
    kept: tuple[int, datetime] | None = None
    needless = []
    for key, account_id, at in found.values_list("pk", "account_id", "at").iterator():
        hour = (account_id, at.replace(minute=0, second=0, microsecond=0))
        if hour == kept:
            needless.append(key)
        kept = hour
    for start in range(0, len(needless), AT_ONCE):
        with transaction.atomic():
            EquityPoint.objects.filter(pk__in=needless[start : start + AT_ONCE]).delete()
    return len(needless)
