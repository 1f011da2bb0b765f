"""A reader that takes nothing: it holds nobody up, is owed only the newest look, and is closed when it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from signalist.live import sockets as sockets_module
from signalist.live.caretaker import Caretaker
from signalist.live.hub import Hub
from signalist.live.pace import Pace
from signalist.live.sockets import BROKEN, TOO_SLOW, Fragment, Seat, Socket, Sockets
from signalist.live.wire import Frame
from tests.live.conftest import QUICK


class FakeWire:
    """A way out that can be stopped up."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.stopped = self.broken = False

    def waiting(self) -> bool:
        return self.stopped

    def write(self, frame: Frame) -> None:
        if self.broken:
            raise ConnectionError("planted")
        self.sent.append(frame.text)


def _socket(user_id: int = 1, *regions: str) -> Socket:
    return Socket(Seat(user_id, 1, f"key {user_id}", f"hash {user_id}"), FakeWire(), regions or ("a", "b"))


def _look(region: str, version: int) -> Fragment:
    text = f"{region}{version}"
    return Fragment(region, version, text, Frame(text))


def _sent(socket: Socket) -> list[str]:
    return socket.wire.sent  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """A hub that was not started: nothing goes on but what a test does."""
    made = Hub(replace(QUICK, behind=0.2))
    yield made
    await made.stop()


async def test_a_slow_reader_is_owed_the_newest_look_and_gets_no_older_one(hub: Hub) -> None:
    slow, quick = _socket(1), _socket(2)
    for socket in (slow, quick):
        hub.sockets.add(socket)
    slow.wire.stopped = True  # type: ignore[attr-defined]
    for version in (1, 2, 3):
        for region in ("a", "b"):
            hub.desk(1).fragments[region] = _look(region, version)
            await hub.sockets.push("tenant-1", hub.desk(1).fragments[region])
    assert _sent(quick) == ["a1", "b1", "a2", "b2", "a3", "b3"]
    assert _sent(slow) == []
    slow.wire.stopped = False  # type: ignore[attr-defined]
    _round(hub, slow)
    assert sorted(_sent(slow)) == ["a3", "b3"]
    assert not slow.owed and slow.behind_since is None


async def test_a_reader_that_takes_nothing_for_long_is_closed(hub: Hub) -> None:
    slow = _socket()
    hub.sockets.add(slow)
    slow.wire.stopped = True  # type: ignore[attr-defined]
    await hub.sockets.push("tenant-1", _look("a", 1))
    _round(hub, slow)
    assert not slow.closing.done()
    await asyncio.sleep(0.3)
    _round(hub, slow)
    assert slow.closing.result() == TOO_SLOW


async def test_nothing_is_piled_up_for_a_slow_reader(hub: Hub) -> None:
    slow = _socket()
    hub.sockets.add(slow)
    slow.wire.stopped = True  # type: ignore[attr-defined]
    for version in range(1, 500):
        await hub.sockets.push("tenant-1", _look("a", version))
        slow.tell(Frame("beat"))
    assert _sent(slow) == []
    assert slow.owed == {"a"}


async def test_an_old_look_is_never_sent_behind_a_newer_one() -> None:
    socket = _socket()
    for version in (2, 1, 2, 3):
        socket.give(_look("a", version))
    assert _sent(socket) == ["a2", "a3"]


async def test_a_broken_connection_keeps_nobody_from_the_push() -> None:
    registry, broken, whole = Sockets(), _socket(1), _socket(2)
    for socket in (broken, whole):
        registry.add(socket)
    broken.wire.broken = True  # type: ignore[attr-defined]
    assert await registry.push("tenant-1", _look("a", 1)) == 1
    assert broken.closing.result() == BROKEN
    assert _sent(whole) == ["a1"]


async def test_a_push_to_many_lets_others_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets_module, "YIELD_EVERY", 10)
    registry, turns = Sockets(), 0
    for n in range(100):
        registry.add(_socket(n))

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    assert await registry.push("tenant-1", _look("a", 1)) == 100
    task.cancel()
    assert turns >= 9


async def test_a_push_goes_to_those_of_the_group_who_show_the_region() -> None:
    registry = Sockets()
    shows_a, shows_b = _socket(1, "a"), _socket(2, "b")
    stranger = Socket(Seat(3, 2, "key", "hash"), FakeWire(), ("a",))
    for socket in (shows_a, shows_b, stranger):
        registry.add(socket)
    assert await registry.push("tenant-1", _look("a", 1)) == 1
    assert [_sent(socket) for socket in (shows_a, shows_b, stranger)] == [["a1"], [], []]
    assert await registry.push("market", _look("a", 2)) == 2
    registry.discard(shows_a)
    assert not registry.watching("tenant-1", "a")
    assert registry.watching("market", "a")


def test_the_pace_leaves_a_slow_reader_time() -> None:
    assert Pace().behind > Pace().turn


def _round(hub: Hub, socket: Socket) -> None:
    Caretaker(hub, hub.door, hub.pace)._mind(socket)
