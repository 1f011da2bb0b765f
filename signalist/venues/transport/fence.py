"""Up to when what is being asked of a venue may leave the house, whatever adapter asks it.

A lease fences our rows, not the venue: an engine that was frozen may have lost its accounts, and must not send what it had in hand. So
whoever claims work takes a fence along, which says up to which monotonic moment it may still be sent, and it is asked when the
connection is at hand, right before the bytes. Heartbeats move that moment on as long as none came late; once one did, nothing that was
claimed before is sent, for somebody else may have held the accounts in between.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from signalist.clock import monotonic
from signalist.venues.errors import NotSent

Fence = Callable[[], float]
"""The monotonic moment up to which it may be sent."""


@dataclass(slots=True)
class House:
    """Where one errand is. `kept`: its transport says when bytes leave; `left`: some did; `status` is that of the venue's last answer over
    HTTP, None where there was none."""

    kept: bool = False
    left: bool = False
    status: int | None = None

    @property
    def may_have_left(self) -> bool:
        """Whether its venue may have got something of it: so also where the transport does not say."""
        return self.left or not self.kept


_fence: ContextVar[Fence | None] = ContextVar("fence", default=None)
_house: ContextVar[House | None] = ContextVar("house", default=None)
NEVER = float("-inf")


class Tenure:
    """Up to when this engine may write to venues: so many seconds from its last heartbeat on, also where its host slept meanwhile. `now` is
    monotonic."""

    def __init__(self, seconds: float, now: Callable[[], float] = monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._until = now()
        self._number = 0

    def renewed(self, begun: float) -> None:
        """A heartbeat that began at `begun` is on record. One that began too late begins a new tenure: what came before has lapsed."""
        if begun > self._until:
            self._number += 1
        self._until = begun + self._seconds

    def lapse(self) -> None:
        """This engine gives up what it holds: nothing of what was claimed is sent any more, and nothing else before the next heartbeat."""
        self._number += 1
        self._until = NEVER

    def fence(self) -> Fence:
        """The fence of what is claimed now."""
        number = self._number
        return lambda: self._until if number == self._number else NEVER


class fenced:  # noqa: N801 a block like contextmanager's, which costs several times as much on each of thousands of calls
    """Whatever is asked of a venue within is under this fence (None: under none). What comes back tells whether anything has left."""

    __slots__ = ("_fence", "_tokens")

    def __init__(self, fence: Fence | None) -> None:
        self._fence = fence

    def __enter__(self) -> House:
        house = House()
        self._tokens = _fence.set(self._fence), _house.set(house)
        return house

    def __exit__(self, *_: object) -> None:
        _fence.reset(self._tokens[0])
        _house.reset(self._tokens[1])


def keeping() -> None:
    """A transport that calls `leaving` begins with a request."""
    if (house := _house.get()) is not None:
        house.kept, house.status = True, None


def leaving() -> None:
    """Its bytes are written next."""
    if (house := _house.get()) is not None:
        house.left = True


def answered(status: int) -> None:
    """The venue has answered over HTTP, whatever it says."""
    if (house := _house.get()) is not None:
        house.status = status


def may_have_left() -> bool:
    """Whether the venue may have got something of the errand that this is; so also where nobody keeps count of it."""
    house = _house.get()
    return house is None or house.may_have_left


def is_closed(now: float) -> bool:
    """Whether nothing may leave the house any more."""
    fence = _fence.get()
    return fence is not None and now > fence()


def check() -> None:
    """Raise NotSent where nothing may leave the house any more."""
    if is_closed(monotonic()):
        raise NotSent("It was kept back: this engine was not seen for too long, or a kill switch was thrown.")
