"""One strategy that hangs keeps nothing else waiting: what others said goes on at once, and what is due meanwhile is run."""

from __future__ import annotations

import asyncio

import pytest

from signalist.engine import running
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


def _said(scene: Scene, signals: int) -> bool:
    """Whether so many signals come within a second; the machine may be slow."""
    for _ in range(20):
        if Signal.objects.count() == signals:
            return True
        scene.drive(asyncio.sleep(0.05))
    return False


def test_everything_goes_on_while_one_strategy_hangs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = scene.engine
    engine.strategies._time_limit = 2.5
    monkeypatch.setattr(engine.running, "_patient", False)
    scene.strategy("speaks", scene.btc, SPEAKS)
    scene.strategy("hangs", scene.btc, HANGS)
    scene.candle()
    hanging = StrategyRun.objects.get(schedule__version__strategy__slug="hangs")
    assert hanging.status == RunStatus.CLAIMED, "nobody waits for it"
    assert _said(scene, 1)
    scene.drive(engine.running.adopt(engine.id, {engine.id}))  # the safety net finds it, and leaves it alone
    scene.candle()
    assert _said(scene, 2), "what was due while it hung was run in time"
    monkeypatch.setattr(running, "BEHIND", 0.0)
    made = StrategyRun.objects.count()
    scene.candle()
    assert StrategyRun.objects.count() == made, "behind a run that has taken too long nothing is claimed"
    scene.drive(engine.running.end(9.0))
    hanging.refresh_from_db()
    assert hanging.error_kind == "timed_out"


def test_what_a_run_raises_is_raised_once_and_the_others_go_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, raised = scene.engine, 0
    monkeypatch.setattr(engine.running, "_patient", False)
    for name in ("speaks", "speaks-too"):
        scene.strategy(name, scene.btc, SPEAKS)

    async def broken(*_: object) -> None:
        raise ValueError("the database is away")

    with monkeypatch.context() as away:
        away.setattr(engine.running, "_finish", broken)
        with pytest.raises(ValueError, match="away"):
            scene.candle()
        made = StrategyRun.objects.filter(status=RunStatus.CLAIMED).count()
        for _ in range(2 * made):
            try:
                scene.drive(engine.run_due())
            except ValueError:
                raised += 1
    assert raised + 1 == made
    scene.drive(engine.running.adopt(engine.id, {engine.id}))
    scene.drive(engine.running.end(5.0))
    assert Signal.objects.count() == 2, "the safety net makes them again"
