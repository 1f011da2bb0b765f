"""Where all of it meets, once per web process: sockets, the tail of the log, the desks, and a caretaker of the sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from signalist.clock import monotonic
from signalist.events.models import Event
from signalist.events.tail import Cursor
from signalist.live import regions
from signalist.live.caretaker import Caretaker
from signalist.live.desk import Desk
from signalist.live.farewells import SESSION_ENDED
from signalist.live.pace import Pace
from signalist.live.quotes import Quotes
from signalist.live.recorder import Recorder
from signalist.live.sockets import SESSION_OVER, Socket, Sockets, session_group
from signalist.live.supervise import supervised
from signalist.live.tail import Tail, name_of
from signalist.live.threads import Threads
from signalist.live.wire import Frame


class Hub:
    """The live side of one web process, bound to the event loop that it was started in."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self.sockets = Sockets()
        # Apart from each other: neither many newcomers nor one tenant's long pages keep everybody's news waiting, nor those waiting
        # at the door the look at who must leave.
        self.door, self._checks = Threads("live-door", 1), Threads("live-check", 1)
        self._renderers, self._log = Threads("live", 2), Threads("live-log", 1)
        self.tail = Tail(self, self._log, self.pace)
        self.quotes = Quotes(self.door, self.pace)
        self.recorder = Recorder()
        self.desks: dict[int | None, Desk] = {}
        self._caretaker = Caretaker(self, self._checks, self.pace)
        self._tasks: list[asyncio.Task[None]] = []
        # Where each tenant's newest event that changes a region stands; None: events that belong to nobody.
        self._newest: dict[int | None, Cursor] = {}

    def start(self) -> None:
        """Begin to follow the log."""
        work = {
            "tail": self.tail.follow,
            "prices": self.tail.follow_prices,
            "quotes": self.quotes.listen,
            "quotes-out": self.quotes.send,
            "caretaker": self._caretaker.look_after,
            "check": self._caretaker.check,
            "end": self._caretaker.look_at_the_end,
        }
        self._tasks = [
            asyncio.create_task(supervised(name, each, self.pace.again), name=name) for name, each in work.items()
        ]

    async def stop(self) -> None:
        """End all of it and give the connections back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *(desk.stop() for desk in self.desks.values()), return_exceptions=True)
        self.quotes.stop()
        await self.recorder.stop()
        await asyncio.to_thread(self._close_threads)

    async def welcome(self, socket: Socket, after: Cursor | None, instrument_ids: Collection[int] = ()) -> None:
        """Send a socket that is in what its page shows, unless nothing has happened behind `after`, up to where the page knows; and from
        now on the newest prices of these instruments."""
        for tenant_id in (socket.seat.tenant_id, None):
            self.desk(tenant_id)  # what happens from now on is heard there, also where the page needs nothing yet
        await self.tail.ready()
        if after is not None and after < self.tail.oldest:
            socket.tell(word("reload", why="too old"))
            return
        socket.tell(word("hello", beat=self.pace.beat, silent=self.pace.silent))
        if after is None or not self._nothing_since(after, socket):
            await self._refresh(socket, anew=after is not None and after > self.tail.position)
        if instrument_ids:
            await self.quotes.follow(socket, instrument_ids)
        socket.settled = socket.visible

    def leave(self, socket: Socket) -> None:
        """A socket is closed."""
        socket.is_there = False
        self.sockets.discard(socket)
        self.quotes.leave(socket)
        self._tidy(socket)

    async def show(self, socket: Socket, names: Iterable[str], instrument_ids: Collection[int] = ()) -> None:
        """The page shows these regions and the prices of these instruments now, and somebody looks at it."""
        socket.visible = True
        self.sockets.show(socket, names)
        self._tidy(socket)
        await self._refresh(socket)
        await self.quotes.follow(socket, instrument_ids)
        socket.settled = socket.visible

    def desk(self, tenant_id: int | None) -> Desk:
        """The desk of a tenant, or of what is the same for everybody."""
        if tenant_id not in self.desks:
            self.desks[tenant_id] = Desk(tenant_id, self.sockets, self._renderers, self.pace)
        return self.desks[tenant_id]

    def clear(self) -> None:
        """Take away the desks that have nothing to do and no page before them."""
        for key, desk in list(self.desks.items()):
            if desk.is_idle and not self.sockets.of(desk.group):
                del self.desks[key]

    def beats(self, tenant_id: int) -> tuple[Frame, Frame]:
        """What is said every few seconds: for how long the log could not be read, if it cannot; and with it, in the second, how far
        the tenant's pages have been brought, which is for pages that have been given everything."""
        silence = monotonic() - self.tail.read_at
        told = {"stale": int(silence)} if silence > self.pace.stale else {}
        return word("beat", **told), word("beat", cursor=name_of(self._delivered(tenant_id)), **told)

    # --- What the tail tells -------------------------------------------------------------------

    def events_happened(self, happened: Sequence[tuple[Event, Cursor]]) -> None:
        """Pass on what happened to those whom it concerns."""
        kinds = frozenset[str]().union(*(region.kinds for region in regions.everything()))
        for event, before in happened:
            if event.kind == SESSION_ENDED:
                self.sockets.close(session_group(str(event.payload.get("session"))), SESSION_OVER)
            if event.kind in kinds:
                self._newest[event.tenant_id] = Cursor(event.xid, event.pk)
                for desk in self._concerned(event.tenant_id):
                    desk.happened(event.kind, before)

    def prices_moved(self, instrument_ids: frozenset[int]) -> None:
        """Have what shows prices rendered, but for those that every page that shows them has been sent."""
        showing = [each for each in self.sockets.everyone() if any(r.quotes for r in regions.known(each.regions))]
        are_sent = all(map(self.quotes.is_followed_by, showing)) and self.quotes.cover(instrument_ids)
        for desk in self.desks.values():
            desk.prices_moved(self.tail.position, are_sent=are_sent)

    def wants_prices(self) -> bool:
        """Whether a page shows a region with prices."""
        shown = [region.name for region in regions.everything() if region.prices]
        return any(self.sockets.watching(desk.group, name) for desk in self.desks.values() for name in shown)

    # --- The rest ------------------------------------------------------------------------------

    async def _refresh(self, socket: Socket, *, anew: bool = False) -> None:
        """Send what the page shows, as far as it has not been sent."""
        wanted = regions.known(socket.regions)
        for tenant_id in (socket.seat.tenant_id, None):
            for fragment in await self.desk(tenant_id).current(wanted, self.tail.position, anew=anew):
                socket.give(fragment)

    def _concerned(self, tenant_id: int | None) -> list[Desk]:
        """What happened to a tenant concerns its desk and that of common regions; what happened to nobody concerns all."""
        if tenant_id is None:
            return list(self.desks.values())
        return [desk for key in (tenant_id, None) if (desk := self.desks.get(key)) is not None]

    def _delivered(self, tenant_id: int) -> Cursor:
        found = [desk.delivered(self.tail.position) for desk in self._concerned(tenant_id)]
        return min([self.tail.position, *found])

    def _nothing_since(self, after: Cursor, socket: Socket) -> bool:
        """Whether a page that knows the log up to `after` shows what is true. What moves without events never stands still."""
        if any(region.prices or region.every for region in regions.known(socket.regions)):
            return False
        newest = max(self._newest.get(key, Cursor()) for key in (socket.seat.tenant_id, None))
        return self.tail.began <= after <= self.tail.position and newest <= after

    def _tidy(self, socket: Socket) -> None:
        for tenant_id in (socket.seat.tenant_id, None):
            if tenant_id in self.desks:
                self.desks[tenant_id].tidy()

    def _close_threads(self) -> None:
        for threads in (self.door, self._checks, self._renderers, self._log):
            threads.close()


def word(kind: str, **more: Any) -> Frame:
    """A message that is not about a region: JSON, where a region is HTML."""
    return Frame(json.dumps({"live": kind, **more}, separators=(",", ":")))


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop; the first socket starts it."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = use(Hub())
    return found


def use(chosen: Hub) -> Hub:
    """Have this hub serve the running event loop."""
    _hubs[asyncio.get_running_loop()] = chosen
    chosen.start()
    return chosen
