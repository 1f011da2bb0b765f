"""The public side of a venue: what it tells everybody about its markets, and the protocol by which a feed asks for it.

A `MarketData` is one venue's client; it holds no rows and knows no schedule. It says what the venue said: it never makes a candle up, and
calls one closed only where the venue itself said so (a flag, or a later candle of that market). Everything else (gaps, duplicates, the
clock, mute sockets, when to reconnect) is the feed's to judge. All methods raise `signalist.venues.errors.VenueError` only. Symbols are
the venue's own as `Instrument.symbol` holds them; prices are in quote currency, quantities in base units, times aware UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from signalist.domain.candles import Candle
from signalist.domain.instruments import InstrumentSpec, Trading
from signalist.domain.timeframes import Timeframe

SETTLES = timedelta(milliseconds=700)
"""So long after its time is over, by its venue's clock, a candle may still get what was traded within it."""


class Channel(StrEnum):
    """What can be subscribed to."""

    TICKER = "ticker"
    CANDLES = "candles"
    BOOK = "book"
    MARKETS = "markets"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel of one market; of all, where `symbol` is "", for MARKETS alone. `frame` goes with CANDLES, `depth` (levels on each side)
    with BOOK."""

    channel: Channel
    symbol: str
    frame: Timeframe | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Ticker:
    """The newest price of a market. `at` is the venue's own time of it, None where it does not say; what the venue does not tell is None.
    `is_trade`: it is told at this moment because somebody has traded. `trades` are counted since midnight UTC.

    `volume` (base units), `vwap`, `low` and `high` are of the last 24 hours, `change` is absolute over them, in quote currency.
    """

    symbol: str
    last: Decimal
    at: datetime | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask_quantity: Decimal | None = None
    volume: Decimal | None = None
    vwap: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    change: Decimal | None = None
    trades: int | None = None
    is_trade: bool = False


@dataclass(frozen=True, slots=True)
class CandleUpdate:
    """A candle as it stands. `closed`: the venue says that nothing will be added to it; else it is unfinished and may be said again.
    `at` is the venue's time when it said so, None where it does not tell."""

    symbol: str
    frame: Timeframe
    candle: Candle
    closed: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BookLevel:
    """One price of an order book and what rests there."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """The order book after an update, verified where the venue sends a checksum; `bids` best first, `asks` best first."""

    symbol: str
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MarketNews:
    """What may be done in a market from now on, and its `rules` (steps and minimums as the stream tells them, to be compared with each
    other and not with a list's)."""

    symbol: str
    trading: Trading
    rules: tuple[Decimal, ...]


class Standing(StrEnum):
    """OPEN: connected and everything subscribed anew. LOST: not connected. MAINTENANCE: connected, and the venue says that it does not
    trade. ONLINE: it trades again."""

    OPEN = "open"
    LOST = "lost"
    MAINTENANCE = "maintenance"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class StreamState:
    """The connection has changed its standing; `why` is a sentence for people."""

    standing: Standing
    why: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The connection lives, and nothing happened. `at` is the venue's time where it says, and `way` how many seconds passed from our asking
    for it to the answer: it was written in between."""

    at: datetime | None = None
    way: float | None = None


class TroubleKind(StrEnum):
    """CHECKSUM: an order book did not add up and was asked for anew. REFUSED: a subscription was not granted. MALFORMED: a message could
    not be read. SEQUENCE: messages are missing by the venue's own count."""

    CHECKSUM = "checksum"
    REFUSED = "refused"
    MALFORMED = "malformed"
    SEQUENCE = "sequence"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something was wrong with what arrived and is dealt with; `symbol` is "" where it concerns the whole stream."""

    kind: TroubleKind
    symbol: str
    why: str


Message = Ticker | CandleUpdate | BookSnapshot | MarketNews | StreamState | Heartbeat | Trouble


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Closed candles, oldest first, without the unfinished one. `next_since` asks for what follows, None where nothing does.

    `through` is a close up to which the venue itself says that its candles are final: what is not there had no trade; None where it does
    not say. `unread` are closes of which it told something that could not be read.
    """

    candles: tuple[Candle, ...]
    next_since: datetime | None = None
    through: datetime | None = None
    unread: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """How many trades the venue has counted in each market since midnight UTC, by symbol, at some moment from `earliest` to `latest` by its
    own clock."""

    counts: Mapping[str, int]
    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True)
class MarketLimits:
    """What the venue's public side can do.

    `frames`: codes of the timeframes that it keeps itself, streamed and as history. `page`: candles in one answer. `reach`: how many of the
    newest candles it has at all, None without a limit. `pause`: seconds between two requests of history, of which `histories` may be under
    way at once. `symbols_at_once`: markets in one request of tickers, None for all. `silence`: seconds without any message after which a
    connection counts as mute. `per_connection`: subscriptions that one connection takes, None without a limit. `tells_time`: its stream
    names the venue's own time soon after each close of a candle, behind all that was said before, so that no clock of ours is needed to
    know that the candle is over. `tells_markets`: its stream tells when what may be done in a market changes.
    """

    frames: frozenset[str]
    page: int
    reach: int | None = None
    pause: float = 1.0
    symbols_at_once: int | None = None
    silence: float = 10.0
    per_connection: int | None = None
    histories: int = 1
    tells_time: bool = False
    tells_markets: bool = False


class TellsPrices(Protocol):
    """Who can be asked for prices of many markets at once: a venue's public client, or one that can do nothing else."""

    @property
    def code(self) -> str:
        """The venue's code, as `Instrument.venue` holds it."""
        ...

    @property
    def limits(self) -> MarketLimits: ...

    async def tickers(self, symbols: Collection[str] | None = None) -> Mapping[str, Ticker]:
        """Tickers of `symbols`, or of all markets, by symbol, in one request. What the venue does not know is left out."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


class MarketData(TellsPrices, Protocol):
    """One venue's public client."""

    async def instruments(self) -> tuple[InstrumentSpec, ...]:
        """All markets as the venue lists them at this moment, with their rules, their fees and what may be done in them."""
        ...

    async def history(self, symbol: str, frame: Timeframe, since: datetime, until: datetime) -> HistoryPage:
        """Closed candles with `since` < close time <= `until`: the first page of them. Raises UnknownInstrument."""
        ...

    async def tally(self, symbols: Collection[str]) -> Tally | None:
        """The day's trades of `symbols` as counted, in one request; None where the venue does not tell that."""
        ...

    def stream(self, subscriptions: Sequence[Subscription]) -> AsyncIterator[Message]:
        """One connection with these subscriptions: StreamState OPEN first, then what arrives, in the order of arrival.

        It ends with SessionLost when the connection does; connecting again, and when, is the caller's. Closing the iterator (`aclose`)
        closes the connection.
        """
        ...
