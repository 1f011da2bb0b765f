"""The newest prices in memory: one per market, however often it is told, with who wants to hear of which.

A reader asks for what changed since it last asked: a price that was told ten times meanwhile is heard once, at its newest. So what is
written for a reader depends on how many markets it follows, never on how fast they move, and nobody keeps anybody else waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that was made at `at`; `heard` is when we read it, in monotonic seconds."""

    price: Decimal
    at: datetime
    heard: float


@dataclass(eq=False, slots=True)
class Reader:
    """Who follows `symbols`. `changed` is what it has not read yet, each with when the first of that was heard."""

    symbols: set[str]
    changed: dict[str, float] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Board:
    """Prices of one source by symbol."""

    def __init__(self) -> None:
        self.quotes: dict[str, Quote] = {}
        self._readers: dict[str, set[Reader]] = {}

    def put(self, symbol: str, quote: Quote) -> bool:
        """Take a price; False where one is there that was made later."""
        before = self.quotes.get(symbol)
        if before is not None and before.at > quote.at:
            return False
        self.quotes[symbol] = quote
        for reader in self._readers.get(symbol, ()):
            reader.changed.setdefault(symbol, quote.heard)
            reader.news.set()
        return True

    def follow(self, symbols: Collection[str]) -> Reader:
        """A reader of these markets; what is known of them already is news to it."""
        reader = Reader(set())
        self.change(reader, symbols)
        return reader

    def change(self, reader: Reader, symbols: Collection[str]) -> None:
        """Let a reader follow other markets from now on."""
        wanted = set(symbols)
        for symbol in reader.symbols - wanted:
            self._readers[symbol].discard(reader)
            reader.changed.pop(symbol, None)
        for symbol in wanted - reader.symbols:
            self._readers.setdefault(symbol, set()).add(reader)
            if symbol in self.quotes:
                reader.changed[symbol] = self.quotes[symbol].heard
                reader.news.set()
        reader.symbols = wanted

    def leave(self, reader: Reader) -> None:
        """A reader is gone."""
        self.change(reader, ())

    async def read(self, reader: Reader) -> dict[str, tuple[Quote, float]]:
        """What changed since the last time, waiting for it if nothing did: the newest of each, and since when it has waited to be read
        (monotonic seconds)."""
        await reader.news.wait()
        reader.news.clear()
        changed, reader.changed = reader.changed, {}
        return {symbol: (self.quotes[symbol], since) for symbol, since in sorted(changed.items())}
