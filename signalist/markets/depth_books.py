"""Order books in rows: who wants one, what stood in it lately, and how long that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from signalist.db import fast, retention
from signalist.domain.depth import Depth, Level
from signalist.markets.depth_models import BookShot, DepthWish

WANTED_FOR = timedelta(minutes=10)
"""So long after somebody asked snapshots are taken."""
MOST_WANTED = 10
"""Order books of one source that are taken at once: those that were asked for last."""
KEPT = timedelta(minutes=10)
LAST_KEPT = timedelta(days=1)
LEVELS = 25
OLD = 15.0
"""Seconds after which a snapshot is said to be old."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An order book as it stood `at`. `is_wanted`: newer ones are being taken."""

    depth: Depth | None
    at: datetime | None
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class Shot:
    """A snapshot to store."""

    instrument_ids: Sequence[int]
    at: datetime
    depth: Depth


def want(instrument_id: int, now: datetime) -> None:
    """Have snapshots of its order book taken from now on, for a while. One statement."""
    wish = fast.new(DepthWish, instrument_id=instrument_id, until=now + WANTED_FOR)
    fast.insert([wish], conflict="ON CONFLICT (instrument_id) DO UPDATE SET until = excluded.until")


def wanted(routes: Mapping[str, Sequence[int]], now: datetime) -> list[str]:
    """Those of these symbols, with the instruments that each feeds, whose order book somebody wants now. One query."""
    wishes = DepthWish.objects.filter(until__gt=now).order_by("-until", "instrument_id")
    of = {key: symbol for symbol, keys in routes.items() for key in keys}
    found = dict.fromkeys(of[key] for key in wishes.values_list("instrument_id", flat=True) if key in of)
    return sorted(list(found)[:MOST_WANTED])


def store(shots: Sequence[Shot]) -> None:
    """Store snapshots, and let go of what is old of those order books. Two statements."""
    fresh = [
        BookShot(instrument_id=key, at=shot.at, bids=_texts(shot.depth.bids), asks=_texts(shot.depth.asks))
        for shot in shots
        for key in shot.instrument_ids
    ]
    if not fresh:
        return
    newest = max(shot.at for shot in shots)
    with transaction.atomic():
        BookShot.objects.filter(instrument__in={row.instrument_id for row in fresh}, at__lt=newest - KEPT).delete()
        BookShot.objects.bulk_create(fresh)


def standing(instrument_id: int, now: datetime) -> Standing:
    """What is known of an order book. Two queries."""
    shot = BookShot.objects.filter(instrument=instrument_id).order_by("-at", "-pk").first()
    is_wanted = DepthWish.objects.filter(pk=instrument_id, until__gt=now).exists()
    if shot is None:
        return Standing(None, None, is_wanted)
    return Standing(Depth(_levels(shot.bids), _levels(shot.asks)), shot.at, is_wanted)


def retire(now: datetime) -> int:
    """Delete snapshots and wishes that are long past; returns how many."""
    gone = retention.delete(BookShot.objects.filter(at__lt=now - LAST_KEPT).order_by("pk"))
    return gone + retention.delete(DepthWish.objects.filter(until__lt=now - LAST_KEPT).order_by("pk"))


def _texts(levels: Sequence[Level]) -> list[list[str]]:
    return [[str(price), str(quantity)] for price, quantity in levels[:LEVELS]]


def _levels(texts: Sequence[Sequence[str]]) -> tuple[Level, ...]:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in texts)
