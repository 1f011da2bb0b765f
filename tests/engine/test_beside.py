"""One strategy that hangs keeps no other waiting: what they said goes on at once."""

from __future__ import annotations

import asyncio

import pytest

from signalist.engine import beside
from signalist.strategies.models import RunStatus, Signal, StrategyRun
from tests.flows.scene import Scene

SPEAKS = """
from signalist_strategy import Signals

parameters = {}
history = 1


def signals(candles, parameters):
    return Signals(enter_long=candles.close > 0)
"""
HANGS = SPEAKS.replace("    return", "    while True: pass\n    return")


def test_the_others_signals_go_on_while_one_strategy_hangs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.engine.strategies._time_limit = 1.5
    monkeypatch.setattr(scene.engine, "_patient", False)
    seen: list[tuple[int, int]] = []

    async def drain() -> None:
        seen.append((Signal.objects.count(), StrategyRun.objects.filter(status=RunStatus.CLAIMED).count()))

    monkeypatch.setattr(scene.engine, "drain", drain)
    scene.strategy("speaks", scene.btc, SPEAKS)
    scene.strategy("hangs", scene.btc, HANGS)
    scene.candle()
    assert (1, 1) in seen, "the signal was there to go on with while the other was still running"
    assert StrategyRun.objects.get(schedule__version__strategy__slug="hangs").error_kind == "timed_out"


def test_what_a_run_raises_ends_the_wait_and_runs_that_are_quick_go_on_together() -> None:
    drained: list[bool] = []

    async def drain() -> None:
        drained.append(True)

    async def quick() -> None:
        await asyncio.sleep(0)

    async def broken() -> None:
        raise ValueError("the database is away")

    asyncio.run(beside.go_on_beside([quick(), quick()], drain))
    with pytest.raises(ValueError, match="away"):
        asyncio.run(beside.go_on_beside([quick(), broken()], drain))
    assert not drained
