"""What staff may change of a feed while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from signalist.markets.adjusting import adjusted


@dataclass(frozen=True, slots=True)
class Tuning:
    """`per_connection`: subscriptions on one connection where the venue takes as many; `past`: candles that a market begins with."""

    per_connection: int = 10_000
    past: int = 300


def tuning() -> Tuning:
    """As it stands now. One query at most."""
    return Tuning(adjusted("feed.per_connection"), adjusted("feed.past"))
