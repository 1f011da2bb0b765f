"""The heartbeat outside the host: called while candles are decided in time, silent otherwise, and never in anybody's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import aiohttp
import pytest
from django.conf import settings

from signalist import environment
from signalist.clock import SystemClock, utc_now
from signalist.engine import heartbeat
from signalist.engine.heartbeat import Call, Outside
from signalist.engine.live import LiveEngine
from signalist.execution import engines
from signalist.execution.decided import undecided
from signalist.execution.fan_out import fan_out
from signalist.execution.health import engine_health
from signalist.execution.models import EngineProcess
from signalist.strategies.models import RunStatus, StrategyRun, StrategyVersion
from tenants.doors import across_tenants
from tests.flows.scene import LONG, NOON, Scene, entry
from tests.live.pages import elsewhere, eventually


class Switchboard:
    """An address that counts its calls and answers as told: a status, or never."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.calls, self.address = status, 0, ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.calls += 1
                if not self.status:
                    await asyncio.sleep(60)
                writer.write(f"HTTP/1.1 {self.status} So\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()


@asynccontextmanager
async def switchboard(status: int = 200) -> AsyncIterator[Switchboard]:
    board = Switchboard(status)
    server = await asyncio.start_server(board.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    board.address = f"http://{host}:{port}/ping/a-secret"
    try:
        yield board
    finally:
        server.close()


async def beat(address: str, why: str = "") -> Call:
    async def undecided_() -> str:
        return why

    async def noted(call: Call) -> None:
        return None

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=heartbeat.WITHIN)) as session:
        return await Outside(address, 60, undecided=undecided_, noted=noted).beat(session)


async def test_it_calls_while_everything_is_decided() -> None:
    async with switchboard() as board:
        assert await beat(board.address) == Call(called=True, well=True, said="status 200")
        assert board.calls == 1


async def test_it_is_silent_while_something_was_not_decided() -> None:
    async with switchboard() as board:
        call = await beat(board.address, "a signal has not been fanned out")
        assert call == Call(called=False, well=False, said="not called: a signal has not been fanned out")
        assert board.calls == 0


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_answer_that_is_none_is_a_failure(status: int) -> None:
    async with switchboard(status) as board:
        assert await beat(board.address) == Call(called=True, well=False, said=f"status {status}")


async def test_an_address_that_does_not_answer_costs_its_time_out_and_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat, "WITHIN", 0.2)
    async with switchboard(0) as board:
        begun = time.monotonic()
        call = await beat(board.address)
        assert not call.well and time.monotonic() - begun < 2
    nobody = await beat("http://127.0.0.1:1/a-secret")
    assert not nobody.well and nobody.said.startswith("no answer")
    assert "a-secret" not in caplog.text + call.said + nobody.said


# --- What must have been decided -----------------------------------------------------------------


@pytest.fixture
def world(scene: Scene) -> Scene:
    """A minute after noon; the strategy was published an hour before."""
    StrategyVersion.objects.update(created_at=NOON - timedelta(hours=1))
    scene.candle()
    return scene


def asked(world: Scene) -> str:
    return world.stage(undecided)


def test_a_candle_that_was_run_on_is_decided(world: Scene) -> None:
    world.later(30)
    assert asked(world) == ""


def test_a_candle_that_never_came_is_the_alarm(world: Scene) -> None:
    world.later(69)
    assert asked(world) == "", "it may still come"
    world.later(1)
    assert asked(world) == "crossover has not been run on the 1m candle of 12:02:00 UTC"


def test_a_candle_that_was_claimed_too_late_or_not_finished_is_not_decided(world: Scene) -> None:
    world.later(30)
    for status in (RunStatus.SKIPPED, RunStatus.CLAIMED):
        StrategyRun.objects.update(status=status)
        assert "has not been run" in asked(world)
    StrategyRun.objects.update(status=RunStatus.FAILED)
    assert asked(world) == "", "the strategy failed, the engine did not"


def test_a_strategy_that_was_published_since_was_not_due(world: Scene) -> None:
    StrategyVersion.objects.update(created_at=world.clock.now())
    StrategyRun.objects.all().delete()
    world.later(30)
    assert asked(world) == ""


def test_a_signal_that_waits_and_an_entry_past_its_deadline_are_the_alarm(world: Scene) -> None:
    world.subscriber()
    world.minute()
    StrategyRun.objects.create(
        schedule=world.crossover,
        candle_close=world.clock.now() + timedelta(minutes=1),
        status=RunStatus.NO_SIGNAL,
        engine=world.engine.id,
        claimed_at=world.clock.now(),
    )
    world.signal(entry(LONG, "39600", "40800"), wait=True)
    world.later(11)
    assert asked(world) == "a signal has not been fanned out"
    world.stage(fan_out)
    world.later(10)
    assert asked(world) == "an entry has not been decided by its deadline"
    world.settle()
    assert asked(world) == ""


# --- In the engine -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
async def test_an_engine_beats_and_the_health_page_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    async with switchboard() as board:
        monkeypatch.setattr(settings, "HEARTBEAT_URL", board.address)
        monkeypatch.setattr(settings, "HEARTBEAT_EVERY", 0.1)
        engine = LiveEngine(SystemClock())
        task = asyncio.create_task(engine.run())
        try:
            await eventually(lambda: board.calls >= 2)
            beaten = await elsewhere(lambda: engine_health().beat)
            assert beaten is not None and (beaten.well, beaten.said, beaten.failed) == (True, "status 200", 0)
            board.status = 500
            calls = board.calls
            await eventually(lambda: board.calls >= calls + 3)
            beaten = await elsewhere(lambda: engine_health().beat)
            assert beaten is not None and not beaten.well and beaten.failed >= 2
            assert not task.done()
        finally:
            engine.stop()
            await asyncio.wait([task])


@pytest.mark.django_db(transaction=True)
def test_failures_are_counted_until_one_goes_well() -> None:
    with across_tenants("tests"):
        engine = EngineProcess.objects.create(boot="x", pid=1, started_at=utc_now(), seen_at=utc_now())
        for well in (False, False, True, False):
            engines.beat_outside(engine, SystemClock(), well=well, said="so")
    assert EngineProcess.objects.get().beats_failed == 1


def test_an_address_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(environment.Misconfigured, match="https://"):
        environment.web_address("HEARTBEAT_URL", "ftp://example.com")
    assert environment.web_address("HEARTBEAT_URL", None) == ""
    assert environment.web_address("HEARTBEAT_URL", "https://hc.example/1") == "https://hc.example/1"
