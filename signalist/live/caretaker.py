"""Looks after the open sockets: beats, silence, slow readers, and whether those who sit there still may.

Who goes round and beats never waits for the database: while that is silent, pages are to be told so, and not to be cut off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from signalist.clock import monotonic
from signalist.live import access
from signalist.live.pace import Pace
from signalist.live.sockets import SESSION_OVER, TOO_SLOW, YIELD_EVERY, Socket
from signalist.live.threads import Threads

if TYPE_CHECKING:
    from signalist.live.hub import Hub

LOOK_AT_THE_END_EVERY = 60.0


class Caretaker:
    """Rounds over all sockets of the process, each until it is cancelled; who may stay is asked in `threads`."""

    def __init__(self, hub: Hub, threads: Threads, pace: Pace) -> None:
        self._hub, self._threads, self._pace = hub, threads, pace
        self._beaten_at = monotonic()

    async def look_after(self) -> None:
        """Beat, and see to silence, slow readers and what changes with time."""
        while True:
            await asyncio.sleep(self._pace.turn)
            for socket in self._hub.sockets.everyone():
                self._mind(socket)
            await self._beat()
            for desk in list(self._hub.desks.values()):
                desk.time_passed(self._hub.tail.position)
            self._hub.clear()

    async def check(self) -> None:
        """Close the sockets whose session or membership has ended. Raises what the database raises."""
        while True:
            await asyncio.sleep(self._pace.turn)
            await self._check()

    async def look_at_the_end(self) -> None:
        """Learn now and then where what is kept of the log begins. Raises what the database raises."""
        while True:
            await asyncio.sleep(LOOK_AT_THE_END_EVERY)
            await self._hub.tail.look_at_the_end()

    async def _beat(self) -> None:
        if monotonic() - self._beaten_at < self._pace.beat - self._pace.turn / 2:
            return
        self._beaten_at = monotonic()
        sockets = self._hub.sockets.everyone()
        frames = {tenant_id: self._hub.beats(tenant_id) for tenant_id in {s.seat.tenant_id for s in sockets}}
        for n, socket in enumerate(sockets, 1):
            plain, with_place = frames[socket.seat.tenant_id]
            socket.tell(with_place if socket.settled and not socket.owed else plain)
            if n % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _mind(self, socket: Socket) -> None:
        now = monotonic()
        if now - socket.heard_at > self._pace.silent:
            socket.close(TOO_SLOW)
        elif socket.owed and not socket.wire.waiting():
            self._make_good(socket)
        elif socket.behind_since is not None and now - socket.behind_since > self._pace.behind:
            socket.close(TOO_SLOW)

    def _make_good(self, socket: Socket) -> None:
        """Give a slow reader the newest look at what it is owed; the looks between are of no use to anybody."""
        owed, socket.owed, socket.behind_since = socket.owed, set(), None
        for tenant_id in (socket.seat.tenant_id, None):
            fragments = self._hub.desk(tenant_id).fragments
            for name in owed & fragments.keys():
                socket.give(fragments[name])

    async def _check(self) -> None:
        now = monotonic()
        due = [s for s in self._hub.sockets.everyone() if now - s.checked_at >= self._pace.check]
        if not due:
            return
        stands = await self._threads.run(access.standing, {socket.seat for socket in due})
        for socket in due:
            socket.checked_at = now
            if socket.seat not in stands:
                socket.close(SESSION_OVER)
