"""Which markets are fed now, and from where, by what the feeds' own rows say."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from signalist.markets.feed_models import FeedSource
from signalist.markets.feed_status import name_of
from signalist.markets.models import Instrument, LatestPrice

LATELY = timedelta(minutes=10)
"""A price that is no older was told by somebody, whoever feeds it; in a market that is fed nobody may have traded for longer."""


def sources_held(now: datetime) -> list[str]:
    """By name, the venues that an engine feeds from now. One query."""
    held = FeedSource.objects.filter(owner__isnull=False, held_until__gt=now).order_by("code")
    return [name_of(code) for code in held.values_list("code", flat=True)]


def listed(now: datetime) -> QuerySet[Instrument]:
    """What can be traded, with `is_fed`, those first that are: prices of a market that nobody feeds any more are only history."""
    held = Exists(
        FeedSource.objects.filter(
            feeds__instrument=OuterRef("pk"), feeds__is_active=True, owner__isnull=False, held_until__gt=now
        )
    )
    told = Exists(LatestPrice.objects.filter(instrument=OuterRef("pk"), at__gt=now - LATELY))
    rows = Instrument.objects.filter(is_active=True).alias(held=held, told=told)
    return rows.annotate(is_fed=Q(held=True) | Q(told=True)).order_by("-is_fed", "symbol", "venue")
