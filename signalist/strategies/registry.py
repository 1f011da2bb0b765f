"""Which strategies run where: reads of the registry of schedules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from signalist.strategies.models import Schedule


@dataclass(frozen=True, slots=True)
class Running:
    """A strategy that runs on an instrument, on the closes of these timeframes."""

    slug: str
    name: str
    timeframes: tuple[str, ...]


def running_on(instrument_ids: Iterable[int]) -> dict[int, list[Running]]:
    """The active strategies by instrument, in order of their names. One query."""
    found = (
        Schedule.objects.filter(
            is_active=True, version__strategy__is_active=True, instrument_id__in=list(instrument_ids)
        )
        .order_by("version__strategy__name", "timeframe")
        .values_list("instrument_id", "version__strategy__slug", "version__strategy__name", "timeframe")
    )
    codes: dict[int, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for instrument_id, slug, name, code in found:
        codes[instrument_id][slug, name].add(code)
    return {
        instrument_id: [Running(slug, name, tuple(sorted(frames))) for (slug, name), frames in strategies.items()]
        for instrument_id, strategies in codes.items()
    }
