"""An engine that is frozen past its lease, and goes on after another one has taken over: it has lost its accounts and must not act.

Real processes, SIGSTOP and SIGCONT, and the venue in another process: what is true is in its book.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from signalist.accounts.models import Account
from signalist.execution.models import EngineProcess
from signalist.trading.models import Order, OrderAttempt
from tenants.doors import across_tenants
from tests.flows.loopback_stage import NEVER_ARRIVED, Engine, Stage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
OVER_THE_LEASE = 20.0


def frozen(engine: Engine) -> bool:
    """Whether it has been stopped."""
    return Path(f"/proc/{engine.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def owners() -> set[object]:
    with across_tenants("tests"):
        return set(Account.objects.values_list("lease_owner", flat=True))


def unanswered() -> int:
    """How many requests have no outcome yet."""
    with across_tenants("tests"):
        return OrderAttempt.objects.filter(success=None).count()


def freezes(stage: Stage, place: str) -> tuple[Engine, Engine]:
    """An engine that held all accounts freezes at this place of its trade; another one comes, and takes over when the first is silent."""
    first = stage.start(f"~{place}")
    stage.settle()
    stage.candle(40)
    stage.wait(lambda: frozen(first), "it freezes", tend=False)
    second = stage.start()
    name = EngineProcess.objects.get(pid=second.pid).pk
    stage.wait(lambda: owners() == {name}, "the other one takes over", OVER_THE_LEASE, tend=False)
    stage.settle()
    return first, second


def thaws(stage: Stage, engine: Engine) -> None:
    """It goes on, and shows that it lives; then everything is done."""
    seen = EngineProcess.objects.get(pid=engine.pid).seen_at
    engine.send(signal.SIGCONT)
    stage.wait(lambda: EngineProcess.objects.get(pid=engine.pid).seen_at > seen, "it is seen again", tend=False)
    stage.settle()


def test_what_it_was_about_to_send_does_not_leave_the_house_any_more(stage: Stage) -> None:
    first, _ = freezes(stage, "place.call")
    assert stage.lost() == set(stage.refs), "none of its entries had left, and all are given up"
    thaws(stage, first)
    stage.wait(lambda: not unanswered(), "it writes down what became of its requests", tend=False)
    assert all(not one["orders"] for one in stage.book().values()), "its late requests have reached the venue"
    with across_tenants("tests"):
        assert set(Order.objects.values_list("status", "reason")) == {("REJECTED", NEVER_ARRIVED)}
        assert set(OrderAttempt.objects.values_list("success", "error_type")) == {(False, "not_sent")}
    stage.check()


@pytest.mark.soak
def test_what_it_had_heard_is_not_written_over_what_its_successor_knows(stage: Stage) -> None:
    first, _ = freezes(stage, "place.called")
    stage.check()
    with across_tenants("tests"):
        before = list(Order.objects.order_by("pk").values_list("pk", "status", "filled", "position_id"))
    thaws(stage, first)
    with across_tenants("tests"):
        assert list(Order.objects.order_by("pk").values_list("pk", "status", "filled", "position_id")) == before
    stage.check()


@pytest.mark.soak
def test_it_takes_its_share_again_and_trades_on(stage: Stage) -> None:
    first, _ = freezes(stage, "place.call")
    thaws(stage, first)
    stage.wait(lambda: len(owners()) == 2, "both hold accounts", tend=False)
    stage.candle(40)
    stage.settle()
    stage.check(entries=2)
    assert stage.lost() == set(stage.refs), "of the two signals, one was lost to the frost"
