"""What is to be fed from a source: its symbols, whose instruments they feed, and the timeframes that somebody waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from signalist.domain.timeframes import timeframe

BASE = timeframe("1m")
"""The timeframe that is streamed; higher ones are made of it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be fed: the ids of the instruments of each symbol, and the higher timeframes that strategies run on, by symbol."""

    routes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    frames: Mapping[str, frozenset[str]] = field(default_factory=dict)


def by_symbol(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """Routes of (symbol, instrument id) pairs."""
    found: dict[str, set[int]] = {}
    for symbol, key in pairs:
        found.setdefault(symbol, set()).add(key)
    return {symbol: tuple(sorted(keys)) for symbol, keys in sorted(found.items())}
