"""The engine's ear: what other processes have left to do (PostgreSQL's NOTIFY) rings here within milliseconds.

A line of its own, outside Django's connections. It is put up again after the server was away, and everything is rung then, because nobody
knows what was said meanwhile. While there is no line, and on SQLite, the engine's polls find the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg

from signalist.clock import monotonic
from signalist.db.lines import ALIVE, address
from signalist.db.wakes import CHANNEL, STAGES, Wakes
from signalist.logs import logger

log = logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds before the line is tried again; one that stood for `STEADY` begins at the first pause anew."""
STEADY = 10.0


class Listening:
    """Rings `wakes` for what other processes notify of, and calls `news`. What this process's own connections said was heard already."""

    def __init__(self, wakes: Wakes, news: Callable[[], None]) -> None:
        self._wakes, self._news = wakes, news
        self.is_up = asyncio.Event()

    async def listen(self) -> None:
        """Listen until cancelled; returns at once where the database does not notify."""
        where = await asyncio.to_thread(address)
        pause = FIRST_PAUSE
        while where is not None:
            begun = monotonic()
            try:
                await self._on_the_line(where)
            except (psycopg.Error, OSError) as error:
                log.warning("engine_line_lost", error=str(error).strip(), again_in=pause)
            finally:
                self.is_up.clear()
            if monotonic() - begun > STEADY:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _on_the_line(self, where: dict[str, Any]) -> None:
        async with await psycopg.AsyncConnection.connect(**where, **ALIVE, autocommit=True) as line:
            await line.execute(f"LISTEN {CHANNEL}")
            self.is_up.set()
            self._ring(*STAGES)
            async for heard in line.notifies():
                if heard.pid != self._wakes.speaker and heard.payload in STAGES:
                    self._ring(heard.payload)

    def _ring(self, *stages: str) -> None:
        """However often a stage is rung before the engine comes round, it is asked once."""
        self._wakes.ring(*stages)
        self._news()
