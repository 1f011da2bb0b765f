"""The rows of those who are asked for prices: how often each was, and how much of it they told. For the engine's database thread."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from signalist.db import fast
from signalist.markets.batch_prices import Successes
from signalist.markets.feed_models import FeedSource, PriceSource

KEPT_UP = (
    "rank", "requests", "failed", "asked", "got", "last_asked", "last_got", "last_ms", "asked_at", "last_error", "last_error_at",
)  # fmt: skip


def sources_of(source: FeedSource, codes: Sequence[str]) -> list[PriceSource]:
    """The rows of these, in their order; made where they are missing, and those of others are gone. Three queries at most."""
    PriceSource.objects.filter(source=source).exclude(code__in=codes).delete()
    there = {row.code: row for row in PriceSource.objects.filter(source=source)}
    missing = [PriceSource(source=source, code=code) for code in codes if code not in there]
    there |= {row.code: row for row in PriceSource.objects.bulk_create(missing)}
    for rank, code in enumerate(codes):
        there[code].rank = rank
    return [there[code] for code in codes]


def counted(row: PriceSource, mine: Successes) -> Successes:
    """What was counted by others: all that the row says but for what this process has counted (`mine`)."""
    return Successes(row.requests - mine.requests, row.failed - mine.failed, row.asked - mine.asked, row.got - mine.got)


def count(row: PriceSource, began: Successes, now: Successes, at: datetime) -> None:
    """Bring a row up to date with what this process has counted since it began."""
    if began.requests + now.requests > row.requests:
        row.asked_at = at
    if began.failed + now.failed > row.failed:
        row.last_error, row.last_error_at = now.last_error, at
    row.requests, row.failed = began.requests + now.requests, began.failed + now.failed
    row.asked, row.got = began.asked + now.asked, began.got + now.got
    row.last_asked, row.last_got, row.last_ms = now.last_asked, now.last_got, now.last_ms


def keep_up(rows: Sequence[PriceSource]) -> None:
    """Write them. One statement."""
    fast.update(rows, KEPT_UP)
