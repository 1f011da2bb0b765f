"""An engine that stands still within a transaction, with the rows of its accounts in hand: others have them within ten seconds.

It is frozen (SIGSTOP), or its database thread hangs; another engine's process takes its accounts over and trades them. What is true is
read from the venue's book.
"""

from __future__ import annotations

import signal
import time

import pytest

from signalist.execution.models import EngineProcess
from signalist.trading.models import Execution, Order
from tenants.doors import across_tenants
from tests.flows.loopback_nursery import HOLDING
from tests.flows.loopback_stage import Engine, Stage
from tests.flows.test_frozen import frozen, owners, thaws

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
WITHIN = 10.0
SLACK = 2.0
"""Seconds that this machine may need for what takes none: to start a process, to look."""


def standing(stage: Stage, how: str) -> Engine:
    """An engine that holds all accounts and stands still when a candle comes."""
    engine = stage.start(f"@{how}{HOLDING}")
    stage.settle()
    stage.arm()
    stage.candle(40)
    return engine


def taken_over(stage: Stage, begun: float) -> float:
    """Seconds until another engine has all accounts; then it has done what is to do."""
    heir = stage.start()
    name = EngineProcess.objects.get(pid=heir.pid).pk
    stage.wait(lambda: owners() == {name}, "the other one takes over", WITHIN + SLACK, tend=False)
    took = time.monotonic() - begun
    stage.settle()
    return took


def trades_on(stage: Stage) -> None:
    """At the next candle every account is in the market once, protected, whatever became of the one before."""
    stage.candle(40)
    stage.settle()
    book = stage.book()
    assert {len([o for o in one["orders"] if not o[-1]]) for one in book.values()} == {1}
    assert all(one["net"] and one["stops"] for one in book.values())
    stage.check()


def test_the_accounts_of_an_engine_whose_database_thread_hangs_are_traded_by_another(stage: Stage) -> None:
    engine, begun = standing(stage, "%"), time.monotonic()
    took = taken_over(stage, begun)
    assert not frozen(engine) and took < WITHIN + SLACK, took
    stage.venue.control("faults", clear=True)
    trades_on(stage)


@pytest.mark.soak
def test_rows_that_a_frozen_engine_holds_are_free_and_it_writes_nothing_when_it_goes_on(stage: Stage) -> None:
    engine = standing(stage, "~")
    stage.wait(lambda: frozen(engine), "it freezes", tend=False)
    took = taken_over(stage, time.monotonic())
    assert frozen(engine) and took < WITHIN + SLACK, took
    trades_on(stage)

    def rows() -> list[object]:
        with across_tenants("tests"):
            orders = Order.objects.order_by("pk").values_list("pk", "status", "filled", "attempts", "updated_at")
            return [*orders, *Execution.objects.order_by("pk").values_list("pk", "status", "rule")]

    before = rows()
    thaws(stage, engine)
    assert rows() == before
    stage.check()
    assert engine.pid and not stage.ended(engine), "it lives on"
    engine.send(signal.SIGTERM)
