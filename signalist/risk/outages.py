"""What outages cost a workspace's followers, as pages show it: by subscription what was done, and how many entries were lost."""

from __future__ import annotations

from django.db.models import F, Sum

from signalist.risk.models import Missed
from signalist.trading.execution_metrics import Chosen, Place

SHOWN = 20


def outages(subscription_id: int) -> list[Missed]:
    """The newest gaps that a subscription followed through, each with what was done about it, newest first. One query."""
    rows = Missed.objects.filter(subscription=subscription_id).select_related("gap")
    return list(rows.order_by("-gap__last_close", "-pk")[:SHOWN])


def entries_lost(chosen: Chosen) -> dict[Place, int]:
    """How many entries strategies would have said in outages, by the accounts and instruments of those who followed them; of the venue and
    account that is chosen `metrics` picks them. Who had ended lost none, and holds what is left. One query."""
    lost = Missed.objects.filter(at__gte=chosen.since, gap__entries__gt=0)
    lost = lost.exclude(subscription__ended_at__lte=F("gap__first_close"))
    if chosen.instrument is not None:
        lost = lost.filter(subscription__instrument=chosen.instrument)
    places = lost.order_by().values_list("subscription__account_id", "subscription__instrument_id")
    return {(account, market): count for account, market, count in places.annotate(count=Sum("gap__entries"))}
