"""What the regions of one tenant look like now: rendered when something changed, at a bounded pace, pushed when they look different."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count

from signalist.clock import monotonic
from signalist.events.tail import Cursor
from signalist.live import regions
from signalist.live.pace import Pace
from signalist.live.regions import Region
from signalist.live.sockets import MARKET, Fragment, Sockets, tenant_group
from signalist.live.threads import Threads
from signalist.live.wire import Frame
from signalist.logs import logger

log = logger(__name__)

# One count for all: a region that nobody showed for a while must not begin again below what a page has seen.
_versions = count(1)


class Desk:
    """The desk of a tenant, or (None) of the regions that are the same for everybody. One task works while there is work."""

    def __init__(self, tenant_id: int | None, sockets: Sockets, threads: Threads, pace: Pace) -> None:
        self.tenant_id = tenant_id
        self.group = MARKET if tenant_id is None else tenant_group(tenant_id)
        self.fragments: dict[str, Fragment] = {}
        self._sockets, self._threads, self._pace = sockets, threads, pace
        # By region: the place in the log before the first thing that changed it since it was rendered.
        self._due: dict[str, Cursor] = {}
        self._in_hand: dict[str, Cursor] = {}
        self._failed: dict[str, Cursor] = {}
        self._rendered_at: dict[str, float] = {}
        self._looks: Counter[str] = Counter()
        self._worker: asyncio.Task[None] | None = None
        self._more, self._batch = asyncio.Event(), asyncio.Condition()

    def happened(self, kind: str, before: Cursor) -> None:
        """An event of this kind stands behind the place `before` in the log."""
        self._mark(before, lambda region: kind in region.kinds)

    def prices_moved(self, before: Cursor, *, are_sent: bool) -> None:
        """The newest prices are others; `are_sent`: pages have them already."""
        self._mark(before, lambda region: region.prices and not (are_sent and region.quotes))

    def time_passed(self, before: Cursor) -> None:
        """Render what changes by itself when it is time, and try again what failed, as long as a page shows it."""
        now = monotonic()
        self._failed = {name: before for name, before in self._failed.items() if self._matters(name)}
        for name in [name for name in self._failed if now >= self._rendered_at[name] + self._pace.retry]:
            self._due.setdefault(name, self._failed.pop(name))
        self._mark(
            before,
            lambda region: region.every is not None and now >= self._rendered_at.get(region.name, now) + region.every,
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do: what is remembered here could be learned anew."""
        is_working = self._worker is not None and not self._worker.done()
        return not (is_working or self._due or self._in_hand or self._failed)

    def delivered(self, position: Cursor) -> Cursor:
        """The place in the log up to which every page has been given what it shows."""
        return min((position, *self._due.values(), *self._in_hand.values(), *self._failed.values()))

    async def current(self, wanted: Iterable[Region], position: Cursor, *, anew: bool = False) -> list[Fragment]:
        """The regions as they are now; what is not known, or has changed, is rendered first. One that cannot be is left out."""
        names = [region.name for region in wanted if region.common == (self.tenant_id is None)]
        looks: dict[str, int] = {}
        for name in names:
            if anew or (name not in self.fragments and name not in self._in_hand):
                self._due.setdefault(name, position)
            # What is in hand is new enough: an event that it may have missed is still to come, and will be pushed.
            if name in self._due or name in self._in_hand:
                looks[name] = self._looks[name] + (2 if anew and name in self._in_hand else 1)
        self._work()
        async with self._batch:
            await self._batch.wait_for(lambda: all(self._looks[name] >= look for name, look in looks.items()))
        return [self.fragments[name] for name in names if name in self.fragments]

    def tidy(self) -> None:
        """Forget what no page shows any more: it would not be kept true."""
        for name in [name for name in self.fragments if not self._sockets.watching(self.group, name)]:
            del self.fragments[name]

    async def stop(self) -> None:
        """End the work."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def _mark(self, before: Cursor, changed: Callable[[Region], bool]) -> None:
        for region in regions.everything():
            if region.common == (self.tenant_id is None) and changed(region) and self._matters(region.name):
                self._due.setdefault(region.name, before)
        self._work()

    def _matters(self, name: str) -> bool:
        """Whether a page shows the region, or may when what is being rendered is done."""
        return self._sockets.watching(self.group, name) or name in self._in_hand

    def _work(self) -> None:
        if self._due:
            self._more.set()
            if self._worker is None or self._worker.done():
                self._worker = asyncio.create_task(self._render_what_is_due())

    async def _render_what_is_due(self) -> None:
        while self._due:
            now = monotonic()
            times = {name: self._rendered_at.get(name, 0.0) + self._pace.region for name in self._due}
            ripe = [name for name, at in times.items() if at <= now]
            if ripe:
                await self._render(ripe)
                continue
            self._more.clear()
            try:
                await asyncio.wait_for(self._more.wait(), min(times.values()) - now)
            except TimeoutError:
                continue

    async def _render(self, names: list[str]) -> None:
        self._in_hand = {name: self._due.pop(name) for name in names}
        began = monotonic()
        self._rendered_at |= dict.fromkeys(names, began)
        try:
            found = await self._threads.run(regions.render, self.tenant_id, regions.known(names))
            for name, html in found.items():
                await self._show(name, html)
                del self._in_hand[name]
        except Exception:
            log.exception("live_desk_failed", group=self.group, regions=names)
        finally:
            self._failed |= self._in_hand
            self._in_hand = {}
            self._looks.update(names)
            async with self._batch:
                self._batch.notify_all()

    async def _show(self, name: str, html: str) -> None:
        before = self.fragments.get(name)
        if before is not None and before.html == html:
            return
        fragment = Fragment(name, next(_versions), html, Frame(html))
        if self._sockets.watching(self.group, name):
            self.fragments[name] = fragment
            await self._sockets.push(self.group, fragment)
