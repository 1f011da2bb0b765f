"""What the shell of every page says of the market: whose prices it shows, by what engines and feeds say of themselves.

A web process may be told another name by its settings (`SIGNALIST_MARKET_NAME`), as `manage.py up` does; what an engine beside it was told,
it does not know. Nothing is asked for more than once in ten seconds.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest

from signalist.clock import SystemClock, monotonic
from signalist.execution.engines import living_engines
from signalist.logs import logger
from signalist.markets.fed import sources_held

log = logger(__name__)

KNOWN_FOR = 10.0
SYNTHETIC, NOBODY = "Synthetic market", "No live prices"
FIRST = "Prices of venues"


class Known:
    """What this process has heard last."""

    words, until = FIRST, float("-inf")


def market(request: HttpRequest) -> dict[str, Any]:
    """Context processor. `market_name` is asked for only by a page that shows it."""
    return {"market_name": market_name}


def market_name() -> str:
    """Whose prices pages show now."""
    if settings.MARKET_NAME:
        return str(settings.MARKET_NAME)
    if monotonic() >= Known.until:
        Known.until = monotonic() + KNOWN_FOR
        try:
            Known.words = _asked()
        except DatabaseError as error:  # a page that says what is wrong must come out all the same
            log.warning("market_name_not_read", error=str(error))
    return Known.words


def _asked() -> str:
    clock = SystemClock()
    engines = living_engines(clock)
    venues = sources_held(clock.now())
    told = [SYNTHETIC] if any(engine.feeds == "synthetic" for engine in engines) else []
    told += [f"{'prices' if told else 'Prices'} of {' and '.join(venues)}"] if venues else []
    if told:
        return " and ".join(told)
    return "Recorded market" if any(engine.clock == "market" for engine in engines) else NOBODY
