"""The open sockets of this process, by group and region. The groups a socket is in are what it may see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, TypeVar

from signalist.clock import monotonic
from signalist.logs import logger

if TYPE_CHECKING:
    # It brings all of Twisted along, and whoever logs somebody out in a worker needs only names of groups.
    from signalist.live.wire import Frame, Wire

log = logger(__name__)

K = TypeVar("K", str, tuple[str, str])

MARKET = "market"
# Close codes of our own; what a page makes of each is in live.js.
SESSION_OVER, TOO_SLOW, BROKEN = 4001, 4008, 4011
YIELD_EVERY = 64


def tenant_group(tenant_id: int) -> str:
    """The group of a tenant's members."""
    return f"tenant-{tenant_id}"


def user_group(user_id: int) -> str:
    """The group of one person's sockets."""
    return f"user-{user_id}"


def session_group(session_hash: str) -> str:
    """The group of the sockets that were opened with one log-in."""
    return f"session-{session_hash}"


@dataclass(frozen=True, slots=True)
class Fragment:
    """A region as it looks now. `version` counts its looks, so that nobody is sent an old one after a new one."""

    region: str
    version: int
    html: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class Seat:
    """Who sits at a socket: a member of a tenant, with the session that let them in."""

    user_id: int
    tenant_id: int
    session_key: str = field(repr=False)
    session_hash: str

    @property
    def groups(self) -> tuple[str, ...]:
        """What the membership admits to."""
        return (tenant_group(self.tenant_id), user_group(self.user_id), session_group(self.session_hash), MARKET)


class Socket:
    """One open page. `settled`: it has been sent all that it shows. `closing` is resolved with the code to close with, by the consumer."""

    __slots__ = (
        "behind_since",
        "checked_at",
        "closing",
        "heard_at",
        "is_there",
        "owed",
        "regions",
        "seat",
        "seen",
        "settled",
        "visible",
        "wire",
    )

    def __init__(self, seat: Seat, wire: Wire, regions: Iterable[str]) -> None:
        self.seat, self.wire = seat, wire
        self.regions = frozenset(regions)
        self.visible, self.settled, self.is_there = True, False, True
        self.heard_at = monotonic()
        # Asked again at once: what ended between the question at the door and the seat being taken told nobody here.
        self.checked_at = -inf
        self.seen: dict[str, int] = {}
        self.owed: set[str] = set()
        self.behind_since: float | None = None
        self.closing: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def give(self, fragment: Fragment) -> bool:
        """Send a look at a region, once; a page that nobody looks at gets none, a slow reader is owed the newest one."""
        if not self.visible or self.seen.get(fragment.region, 0) >= fragment.version:
            return False
        if self.wire.waiting():
            self.owed.add(fragment.region)
            self.behind_since = self.behind_since or monotonic()
            return False
        self.seen[fragment.region] = fragment.version
        self.owed.discard(fragment.region)
        if not self.owed:
            self.behind_since = None
        return self._write(fragment.frame)

    def tell(self, frame: Frame) -> None:
        """Send a word that is not about a region; it is left out for a slow reader."""
        if not self.wire.waiting():
            self._write(frame)

    def hide(self) -> None:
        """Nobody looks at the page: it is sent nothing until somebody does."""
        self.visible = self.settled = False

    def close(self, code: int) -> None:
        """Have the socket closed with `code`."""
        if not self.closing.done():
            self.closing.set_result(code)

    def _write(self, frame: Frame) -> bool:
        """Write, or have the socket closed: one broken connection must not keep the others waiting."""
        try:
            self.wire.write(frame)
        except Exception as error:  # noqa: BLE001 whatever is the matter with this one, the others are still to be served
            log.warning("live_socket_broken", error=f"{type(error).__name__}: {error}")
            self.close(BROKEN)
            return False
        return True


class Sockets:
    """The registry. Pushes to one group and region must follow each other; the desk of the group sees to that."""

    def __init__(self) -> None:
        self._all: dict[Socket, None] = {}
        self._groups: dict[str, dict[Socket, None]] = {}
        self._watching: dict[tuple[str, str], dict[Socket, None]] = {}

    def add(self, socket: Socket) -> None:
        """Let it hear what its groups hear from now on."""
        self._all[socket] = None
        for group in socket.seat.groups:
            self._groups.setdefault(group, {})[socket] = None
        self._watch(socket, socket.regions)

    def discard(self, socket: Socket) -> None:
        """Forget a socket."""
        self._all.pop(socket, None)
        for group in socket.seat.groups:
            _drop(self._groups, group, socket)
        self._unwatch(socket)

    def show(self, socket: Socket, regions: Iterable[str]) -> None:
        """The page shows other regions now."""
        self._unwatch(socket)
        socket.regions = frozenset(regions)
        if socket in self._all:
            self._watch(socket, socket.regions)

    def __len__(self) -> int:
        return len(self._all)

    def everyone(self) -> list[Socket]:
        """All sockets of this process."""
        return list(self._all)

    def of(self, group: str) -> list[Socket]:
        """The sockets of a group."""
        return list(self._groups.get(group, ()))

    def watching(self, group: str, region: str) -> bool:
        """Whether any page of the group shows the region."""
        return (group, region) in self._watching

    def close(self, group: str, code: int) -> None:
        """Close all sockets of a group."""
        for socket in self.of(group):
            socket.close(code)

    async def push(self, group: str, fragment: Fragment) -> int:
        """Give a fragment to every page of the group that shows its region; how many took it."""
        given = 0
        for n, socket in enumerate(list(self._watching.get((group, fragment.region), ())), 1):
            given += socket.give(fragment)
            if n % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return given

    def _watch(self, socket: Socket, regions: Iterable[str]) -> None:
        for group in socket.seat.groups:
            for region in regions:
                self._watching.setdefault((group, region), {})[socket] = None

    def _unwatch(self, socket: Socket) -> None:
        for group in socket.seat.groups:
            for region in socket.regions:
                _drop(self._watching, (group, region), socket)


def _drop(index: dict[K, dict[Socket, None]], key: K, socket: Socket) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(socket, None)
        if not members:
            del index[key]
