"""What a venue tells everybody: instruments, quotes, candles, trades and depth, as values, and the protocol of a venue's public side.

Prices are in quote currency, quantities in base units, times aware UTC. All methods raise `signalist.venues.errors.VenueError` only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.orders import Side
from signalist.domain.timeframes import Timeframe


class Trading(StrEnum):
    """What a venue, or one instrument at it, lets people do."""

    ONLINE = "online"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    LIMIT_ONLY = "limit_only"
    REDUCE_ONLY = "reduce_only"
    CLOSED = "closed"
    """Maintenance, delisted, or not open yet."""

    @property
    def takes_market_orders(self) -> bool:
        return self is Trading.ONLINE


@dataclass(frozen=True, slots=True)
class Listed:
    """An instrument as its venue lists it. Fees are fractions: what who trades nothing yet pays."""

    spec: InstrumentSpec
    trading: Trading
    taker_fee: Decimal
    maker_fee: Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest prices. `at` is None where the venue does not say when they were made."""

    symbol: str
    last: Decimal
    bid: Decimal
    ask: Decimal
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A candle as the venue has it now; only a `closed` one does not change any more."""

    symbol: str
    frame: Timeframe
    candle: Candle
    closed: bool


@dataclass(frozen=True, slots=True)
class Traded:
    """One trade of the market; `side` is the taker's, `number` grows within a symbol."""

    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    at: datetime
    number: int


Level = tuple[Decimal, Decimal]
"""A price and the quantity that stands there."""


@dataclass(frozen=True, slots=True)
class Depth:
    """The best levels of an order book: bids from the highest, asks from the lowest."""

    symbol: str
    bids: Sequence[Level]
    asks: Sequence[Level]
    at: datetime | None = None


class Link(StrEnum):
    """The life of a stream's connection."""

    CONNECTING = "connecting"
    UP = "up"
    WAITING = "waiting"
    """Lost; the next try is due."""
    FAILED = "failed"
    """Given up after the last try; somebody must look, or restart it."""
    CLOSED = "closed"


class Hears(Protocol):
    """Who is told what a stream says, in the event loop, in the order in which it came. Nothing here may wait or raise."""

    def quotes(self, quotes: Sequence[Quote]) -> None: ...

    def bars(self, bars: Sequence[Bar]) -> None:
        """The first bars after each joining are what the venue has stored: they may repeat, and correct, what was told before."""
        ...

    def trades(self, trades: Sequence[Traded]) -> None: ...

    def depth(self, depth: Depth) -> None:
        """A book that has been checked. None comes while it is joined anew because it was wrong."""
        ...

    def trading(self, symbol: str, trading: Trading) -> None:
        """What may be done in an instrument, or at the venue as a whole (symbol "")."""
        ...

    def link(self, link: Link, why: str) -> None: ...

    def refused(self, symbol: str, why: str) -> None:
        """The venue does not stream this."""
        ...


class MarketStream(Protocol):
    """A venue's public stream. It is opened with the first that is followed, and restores all that is followed after each loss."""

    def follow(
        self,
        symbols: Collection[str],
        *,
        quotes: bool = True,
        frames: Collection[Timeframe] = (),
        trades: bool = False,
        depth: int = 0,
    ) -> None: ...

    def leave(self, symbols: Collection[str]) -> None: ...

    def restart(self) -> None:
        """Try anew after it was given up."""
        ...

    async def close(self) -> None: ...


class MarketData(Protocol):
    """A venue's public side."""

    @property
    def code(self) -> str: ...

    @property
    def frames(self) -> frozenset[Timeframe]:
        """The timeframes that the venue has; others are made of them."""
        ...

    @property
    def longest_history(self) -> int:
        """How many candles one answer holds at most, the newest."""
        ...

    async def instruments(self) -> tuple[Listed, ...]: ...

    async def quotes(self, symbols: Collection[str] = ()) -> tuple[Quote, ...]:
        """The latest prices in one request: of these symbols, or of all. What the venue does not know is missing."""
        ...

    async def candles(self, symbol: str, frame: Timeframe, since: datetime | None = None) -> tuple[Candle, ...]:
        """Closed candles whose close is after `since`, oldest first, at most `longest_history`."""
        ...

    async def depth(self, symbol: str, levels: int) -> Depth: ...

    async def trading(self) -> Trading:
        """What the venue as a whole lets people do."""
        ...

    def stream(self, hears: Hears) -> MarketStream: ...

    async def close(self) -> None: ...
