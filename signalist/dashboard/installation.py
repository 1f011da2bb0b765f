"""What may be said to everybody about this installation: how much of it there is. Counts only, nothing of any tenant's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule, Signal, Strategy, StrategyRun

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Installation:
    """Published strategies, the instruments they run on, runs in the last hour of market time, and signals since 00:00 UTC."""

    strategies: int
    instruments: int
    runs: int
    signals: int


def figures(now: datetime) -> Installation:
    """Counted now. Five queries."""
    schedules = list(
        Schedule.objects.filter(is_active=True, version__strategy__is_active=True).values_list("pk", "instrument_id")
    )
    ids = [key for key, _ in schedules]
    midnight = datetime.combine(now.date(), time.min, now.tzinfo)
    return Installation(
        Strategy.objects.filter(is_active=True).count(),
        Instrument.objects.filter(is_active=True, pk__in={instrument for _, instrument in schedules}).count(),
        StrategyRun.objects.filter(schedule__in=ids, candle_close__gt=now - HOUR).count(),
        Signal.objects.filter(schedule__in=ids, candle_close__gte=midnight).count(),
    )
