"""Who feeds a market: one engine at a time for each source, by a lease in the source's own row.

It is taken by a conditional UPDATE, renewed every other second, and lost by whoever was silent for longer than it lasts. Two engines that
both believed to hold it for a moment would write the same candles, which are unique rows: nothing would be run twice.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db.models import F, Q

from signalist.markets.feed_models import FeedSource

LASTS = timedelta(seconds=6)
RENEW_EVERY = 2.0
ASK_EVERY = 0.5
"""Seconds between two questions of an engine that has it not: with what is left of a dead one's lease, and the time to connect, a market is
fed again within ten seconds."""


def hold(code: str, engine: uuid.UUID, now: datetime) -> int | None:
    """Take or renew the lease of the source `code` for `engine`; its fencing token, None where another engine holds it."""
    source, _ = FeedSource.objects.get_or_create(code=code)
    mine = FeedSource.objects.filter(pk=source.pk, owner=engine)
    if mine.update(held_until=now + LASTS):
        return source.token if source.owner == engine else FeedSource.objects.get(pk=source.pk).token
    free = FeedSource.objects.filter(Q(owner__isnull=True) | Q(held_until__lt=now), pk=source.pk)
    if not free.update(owner=engine, held_until=now + LASTS, token=F("token") + 1):
        return None
    return FeedSource.objects.get(pk=source.pk).token


def let_go(code: str, engine: uuid.UUID) -> None:
    """Give the lease back."""
    FeedSource.objects.filter(code=code, owner=engine).update(
        owner=None, held_until=None, standing="idle", why="", standing_since=None
    )
