"""Asks a venue's history for candles that are missing, page by page and no faster than the venue likes, the newest holes first, and each
for as long as the venue may still know: one that could not be filled is asked for again, later and later, and keeps no other one open.

What history has is told; a close that it does not have, asked when it must know, was one without a trade, and is told as that. How soon it
must know: a second after a close during which the stream was whole and said nothing, five where there was no stream to say anything. What
lies behind the venue's reach is nobody's to tell, and stays a hole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from signalist.clock import Clock, monotonic
from signalist.domain.backoff import pause
from signalist.domain.candles import Candle
from signalist.domain.timeframes import Timeframe
from signalist.logs import logger
from signalist.markets.idleness import Idleness
from signalist.venues.errors import Next, NoAnswer, VenueError
from signalist.venues.market_data import MarketData

log = logger(__name__)

SURE_AFTER, SURE_WITHOUT_STREAM = timedelta(seconds=1), timedelta(seconds=5)
PAGES = 50
"""Pages that one hole is asked for at most: a venue that always says there is more is not followed for ever."""
NEW = timedelta(minutes=2)
REFUSED_FOR = 600.0
"""Seconds after which a venue that has refused to tell of a market is asked once more: it may have listed it again."""
OLDEST_EVERY = 4
"""So often the hole that waits longest is taken, and not the newest."""


@dataclass(frozen=True, slots=True)
class Hole:
    """The closes from `first` to `last` of one market. `past`: it is what was before the feed began, and not missed by it. `told`: the
    stream was whole meanwhile."""

    symbol: str
    frame: Timeframe
    first: datetime
    last: datetime
    past: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """What history says of a hole: `candles` that it has, and the closes at which it knows of no trade. `lost`: it cannot say any more."""

    hole: Hole
    candles: tuple[Candle, ...]
    idle: tuple[datetime, ...] = ()
    lost: int = 0
    why: str = ""


class Filler:
    """The holes of one venue's markets. `deliver` takes each answer; a second hole of a market is joined to the one that waits."""

    def __init__(self, source: MarketData, clock: Clock, deliver: Callable[[Filled], Awaitable[None]]) -> None:
        self._source, self._clock, self._deliver = source, clock, deliver
        self._holes: dict[tuple[str, str, bool], Hole] = {}
        self._tries: dict[tuple[str, str, bool], int] = {}
        self._not_before: dict[tuple[str, str, bool], float] = {}
        self._taken = 0
        self._under_way: dict[str, Hole] = {}
        self._idleness = Idleness(source, clock)
        self._news = asyncio.Event()

    def want(self, hole: Hole) -> None:
        """Have it filled."""
        key = hole.symbol, hole.frame.code, hole.past
        if (waiting := self._holes.get(key)) is not None:
            hole = replace(
                hole,
                first=min(hole.first, waiting.first),
                last=max(hole.last, waiting.last),
                told=hole.told and waiting.told,
            )
        self._holes[key] = hole
        self._news.set()

    def only(self, symbols: Container[str]) -> None:
        """No other markets are fed any more."""
        self._idleness.only(symbols)
        for known in (self._holes, self._tries, self._not_before):
            for key in [key for key in known if key[0] not in symbols]:
                del known[key]

    def waits_for(self, symbol: str) -> bool:
        """Whether a hole of the market waits."""
        return any(key[0] == symbol for key in self._holes)

    async def keep(self) -> None:
        """Fill until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._source.limits.histories):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            hole, wait = self._next()
            if hole is None:
                self._news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), wait)
                continue
            key = hole.symbol, hole.frame.code, hole.past
            del self._holes[key]
            self._taken += 1
            self._under_way[hole.symbol] = hole
            try:
                await self._try(key, hole)
            except asyncio.CancelledError:
                self.want(hole)  # the feed rests, or begins with other markets: it is as missing as before
                raise
            finally:
                self._under_way.pop(hole.symbol, None)
            await asyncio.sleep(self._source.limits.pause)

    async def _try(self, key: tuple[str, str, bool], hole: Hole) -> None:
        try:
            left = await self._fill(hole)
        except VenueError as error:
            await self._failed(key, hole, error)
        except Exception as error:  # noqa: BLE001  # one hole that cannot be filled keeps no other one open
            await self._failed(key, hole, NoAnswer(f"the answer could not be taken ({type(error).__name__})"))
        else:
            if left is None:
                self._tries.pop(key, None)
            else:
                await self._failed(key, left, NoAnswer("some candles could not be read"))

    def _next(self) -> tuple[Hole | None, float]:
        """The hole that is due, the newest of those that the feed missed before the past, and now and then the one that waits longest; else
        how long to wait for one, in seconds."""
        now, at = self._clock.now(), monotonic()
        waits = {
            key: max((hole.first + SURE_AFTER - now).total_seconds(), self._not_before.get(key, at) - at)
            for key, hole in self._holes.items()
        }
        due = [self._holes[key] for key, wait in waits.items() if wait <= 0]
        if not due:
            return None, min(waits.values(), default=60.0)
        if self._taken % OLDEST_EVERY == OLDEST_EVERY - 1:
            return due[0], 0.0
        return max(due, key=lambda h: (not h.past, h.last, -h.frame.seconds, h.symbol)), 0.0

    async def _fill(self, hole: Hole) -> Hole | None:
        """Tell what history says of a hole; that part of it of which history said what could not be read."""
        asked_at = self._clock.now()
        if self._is_new(hole, asked_at):
            alike = {h.symbol for h in (*self._holes.values(), *self._under_way.values()) if self._is_new(h, asked_at)}
            if await self._idleness.knows(hole.symbol, hole.first - hole.frame.length, hole.last, alike):
                await self._deliver(Filled(hole, (), (hole.first,)))
                return None
        candles, reaches, through, unread = await self._pages(hole)
        known = {c.close_time: c for c in candles if hole.first <= c.close_time <= hole.last}
        sure = through or asked_at - (SURE_AFTER if hole.told else SURE_WITHOUT_STREAM)
        newest = max(known, default=None)
        idle: list[datetime] = []
        lost, close = 0, hole.first
        while close <= hole.last:
            if close not in known:
                if close > sure and (newest is None or close > newest):
                    break  # it may still be told
                if close < reaches or close in unread or (hole.past and (newest is None or close < min(known))):
                    lost += not hole.past
                else:
                    idle.append(close)
            close += hole.frame.length
        await self._deliver(Filled(hole, tuple(known[at] for at in sorted(known)), tuple(idle), lost))
        if close <= hole.last:
            self.want(replace(hole, first=close))
        unread = {at for at in unread if hole.first <= at <= hole.last}
        return replace(hole, first=min(unread), last=max(unread)) if unread else None

    @staticmethod
    def _is_new(hole: Hole, now: datetime) -> bool:
        """Whether it is one minute that was over just now: one without a trade, most probably."""
        return not hole.past and hole.first == hole.last and now - hole.last < NEW

    async def _pages(self, hole: Hole) -> tuple[list[Candle], datetime, datetime | None, set[datetime]]:
        """What history has of the hole; the close before which it has nothing at all; the one up to which it says that everything is final,
        where it says; and those of which it said what could not be read."""
        found: dict[datetime, Candle] = {}
        through: datetime | None = None
        unread: set[datetime] = set()
        since: datetime | None = hole.first - hole.frame.length
        for number in range(PAGES):
            if since is None:
                break
            if number:
                await asyncio.sleep(self._source.limits.pause)
            page = await self._source.history(hole.symbol, hole.frame, since, hole.last)
            found |= {candle.close_time: candle for candle in page.candles}
            through = page.through
            unread |= set(page.unread)
            since = page.next_since if page.next_since is None or page.next_since > since else None
        reach = self._source.limits.reach
        newest = hole.frame.last_close(self._clock.now())
        oldest = hole.first if reach is None else newest - hole.frame.length * (reach - 1)
        return [found[at] for at in sorted(found)], min(oldest, *found) if found else oldest, through, unread

    async def _failed(self, key: tuple[str, str, bool], hole: Hole, error: VenueError) -> None:
        """Ask again later, and say why."""
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        why = str(error) or error.code
        log.warning("candles_not_filled", symbol=hole.symbol, timeframe=hole.frame.code, error=why, tries=tries)
        after = REFUSED_FOR if error.next is Next.FINAL else pause(tries, f"{hole.symbol}|{hole.frame.code}")
        self._not_before[key] = monotonic() + after
        self.want(hole)
        await self._deliver(Filled(hole, (), (), 0, why))
