"""What the engine feeds from the public side of a venue: the venue's own instruments, and those of others that were set up to follow it."""

from __future__ import annotations

from django.db.models import Q

from signalist.domain.instruments import Trading
from signalist.domain.timeframes import timeframe
from signalist.markets.models import Instrument
from signalist.markets.wanted import BASE, Wanted, by_symbol
from signalist.strategies.models import Schedule


def wanted_of(code: str) -> Wanted:
    """What is to be fed from the source `code`: its active instruments by their symbol there, and the timeframes that strategies run on.

    An instrument of another venue (the paper venue's, say) is fed from it where its feed's row says so. Two queries.
    """
    mine = Q(venue=code, feed__isnull=True) | Q(feed__source__code=code)
    found = (
        Instrument.objects.filter(mine, is_active=True)
        .exclude(trading=Trading.DELISTED)
        .values_list("pk", "symbol", "feed__symbol")
    )
    symbols = {key: followed or symbol for key, symbol, followed in found}
    running = Schedule.objects.filter(is_active=True, version__strategy__is_active=True, instrument__in=symbols)
    frames: dict[str, set[str]] = {}
    for key, frame in running.values_list("instrument", "timeframe").distinct():
        if timeframe(frame).seconds >= BASE.seconds:
            frames.setdefault(symbols[key], set()).add(frame)
    routes = by_symbol((symbol, key) for key, symbol in symbols.items())
    return Wanted(routes, {symbol: frozenset(codes) for symbol, codes in frames.items()})
