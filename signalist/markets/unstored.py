"""What a feed has heard and not stored yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from signalist.markets.settling import Told

Waiting = tuple[list[Told], set[tuple[int, datetime]], set[str]]


@dataclass(slots=True)
class Unstored:
    """What is to be stored: closed candles, which of them came behind later ones or in order, and symbols whose price has moved."""

    told: list[Told] = field(default_factory=list)
    behind: set[tuple[int, datetime]] = field(default_factory=set)
    ordered: set[tuple[int, datetime]] = field(default_factory=set)
    prices: set[str] = field(default_factory=set)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> Waiting:
        """Everything, which is no longer here."""
        taken = self.told, self.behind - self.ordered, self.prices
        self.told, self.behind, self.ordered, self.prices = [], set(), set(), set()
        return taken

    def put_back(self, told: list[Told], behind: set[tuple[int, datetime]], prices: set[str]) -> None:
        """It could not be stored: what came meanwhile is behind it."""
        self.told, self.behind, self.prices = told + self.told, behind | self.behind, prices | self.prices
