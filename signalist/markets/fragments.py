"""What the markets' regions show: the same for a page's first paint and for every push after it."""

from __future__ import annotations

from typing import Any

from signalist.clock import SystemClock
from signalist.markets.feed_status import changes, corrections, sources


def feed_rows() -> dict[str, Any]:
    """Context of `regions/feed-rows.html`, the same for everybody."""
    return {"sources": sources(SystemClock().now()), "corrections": corrections(), "changes": changes()}
