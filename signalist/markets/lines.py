"""One connection to a venue's public side, kept: joined anew whenever it is lost or says nothing, at a pace that spares the venue.

What arrives says whether it lives. Nothing at all for as long as the venue's heartbeats allow is a mute socket; heartbeats alone are not:
there are hours in which nobody trades. A listener that finds out by other means that a market is kept from it (its venue's
history knows trades of which the stream said nothing) asks for a new connection by `suspect`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from signalist.clock import monotonic
from signalist.domain.backoff import TRIES, pause
from signalist.domain.timeframes import Timeframe
from signalist.logs import logger
from signalist.venues.errors import SessionLost, VenueError
from signalist.venues.market_data import (
    Channel,
    MarketData,
    Message,
    Standing,
    StreamState,
    Subscription,
)

log = logger(__name__)

STEADY = 20.0
"""Seconds after which a connection counts as one that holds: the next loss of it is tried again at once."""


class Mute(SessionLost):
    """The connection stands and says nothing."""

    code = "mute"


@dataclass(slots=True)
class Tally:
    """How often, since it was begun."""

    connections: int = 0
    reconnects: int = 0
    mutes: int = 0


@dataclass(slots=True)
class Line:
    """`hear` is called with what arrives, in the order of arrival. Moments are monotonic seconds; `pace` shortens the pauses, for tests."""

    name: str
    source: MarketData
    subscriptions: Sequence[Subscription]
    hear: Callable[[Message], None]
    tally: Tally = field(default_factory=Tally)
    heard_at: float = 0.0
    opened_at: float = 0.0
    is_open: bool = False
    tries: int = 0
    last_error: str = ""
    pace: float = 1.0
    _suspected: str = ""
    _patience: asyncio.Timeout | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it was tried so often in vain that somebody must know; it is tried on all the same."""
        return not self.is_open and self.tries >= TRIES

    def suspect(self, why: str) -> None:
        """Join anew: the connection keeps something from us."""
        if self._patience is not None and not self._suspected:
            self._suspected = why
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def keep(self) -> None:
        """Be connected until cancelled."""
        while True:
            begun = monotonic()
            try:
                await self._listen()
            except Mute as error:
                self.tally.mutes += 1
                self._lost(str(error))
            except VenueError as error:
                self._lost(str(error) or error.code)
            except Exception as error:  # noqa: BLE001  # a client that breaks on what it was sent is joined anew as well
                log.warning("market_stream_broke", line=self.name, error=f"{type(error).__name__}: {error}")
                self._lost(f"the client broke: {type(error).__name__}")
            self.tries = 1 if self.opened_at > begun and monotonic() - self.opened_at > STEADY else self.tries + 1
            if self.tries == TRIES:
                log.error("market_stream_failed", line=self.name, error=self.last_error, tries=self.tries)
            await asyncio.sleep(pause(self.tries - 1, self.name) * self.pace)
            self.tally.reconnects += 1

    def _lost(self, why: str) -> None:
        self.is_open, self.last_error = False, why
        self.hear(StreamState(Standing.LOST, why))

    async def _listen(self) -> None:
        """One connection, from its opening to its end; raises whatever ended it."""
        loop, silence = asyncio.get_running_loop(), self.source.limits.silence
        self._suspected = ""
        self.heard_at = monotonic()
        messages = self.source.stream(self.subscriptions)
        try:
            async with asyncio.timeout(silence) as self._patience:
                async for message in messages:
                    if not self._suspected:
                        self._patience.reschedule(loop.time() + silence)
                    self._take(message)
            raise SessionLost("the connection was closed")
        except TimeoutError:
            raise Mute(self._suspected or f"nothing was heard for {silence:g} s") from None
        finally:
            self._patience = None
            await _closed(messages)

    def _take(self, message: Message) -> None:
        now = self.heard_at = monotonic()
        if isinstance(message, StreamState):
            if message.standing is Standing.OPEN:
                self.is_open, self.opened_at = True, now
                self.tally.connections += 1
            elif message.standing is Standing.LOST:
                self.is_open = False
        self.hear(message)


async def _closed(messages: AsyncIterator[Message]) -> None:
    """Close the connection, whatever state it is in."""
    aclose = getattr(messages, "aclose", None)
    if aclose is not None:
        with suppress(VenueError, RuntimeError):
            await aclose()


def lines_for(
    source: MarketData,
    symbols: Sequence[str],
    frame: Timeframe,
    hear: Callable[[str, Message], None],
    bound: int | None = None,
) -> list[Line]:
    """One connection for the tickers and candles of `symbols`, or several where one does not take all subscriptions, or more than `bound`;
    `hear` is told the line's name as well."""
    most = min((each for each in (source.limits.per_connection, bound) if each is not None), default=None)
    at_once = max(len(symbols) if most is None else most // 2, 1)
    lines = []
    for start in range(0, len(symbols), at_once):
        mine = symbols[start : start + at_once]
        wanted = [Subscription(Channel.TICKER, symbol) for symbol in mine]
        wanted += [Subscription(Channel.CANDLES, symbol, frame) for symbol in mine]
        if start == 0 and source.limits.tells_markets:
            wanted.append(Subscription(Channel.MARKETS, ""))
        name = f"{source.code}/{start}"
        lines.append(Line(name, source, wanted, partial(hear, name)))
    return lines
